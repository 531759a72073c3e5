"""Days on which a calendar has other hours than the platform knows, told by the user."""

from __future__ import annotations

import datetime

from pydantic import Field, field_validator

from ib_platform.config_gateway import Section
from ib_platform.marketdata.sessions import CalendarName, OtherHours, parse_hours, require_trade_day


class CalendarDay(Section):
    """Other hours of one day of one calendar. They win over those that the platform knows."""

    calendar: CalendarName = Field(description="Whose day it is")
    day: datetime.date = Field(description="A Monday to Friday, by the close of its session")
    hours: str = Field(description='Chicago, like `17:00-12:15`; `""` for no session at all')
    reason: str = Field(default="own", min_length=1, description="Holiday, early close, ...")
    source: str = Field(min_length=1, description="Who says so: a later reader will ask")

    @field_validator("calendar")
    @classmethod
    def _has_hours(cls, calendar: CalendarName) -> CalendarName:
        if calendar is CalendarName.ALWAYS_OPEN:
            raise ValueError("always_open has no hours that could differ")
        return calendar

    @field_validator("day")
    @classmethod
    def _trade_day(cls, day: datetime.date) -> datetime.date:
        return require_trade_day(day)

    @field_validator("hours")
    @classmethod
    def _readable(cls, hours: str) -> str:
        parse_hours(hours)
        return hours

    @property
    def other_hours(self) -> OtherHours:
        """As the calendar wants them."""
        return OtherHours(parse_hours(self.hours), self.reason, self.source)
