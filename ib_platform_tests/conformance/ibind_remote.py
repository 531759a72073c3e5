"""Runs inside ibind's environment: does what it is told on stdin and prints what ibind says.

Nothing of ib_platform is imported here, and nothing of ibind is changed: its public classes only.
One JSON object a line. In: ``{"id": 1, "do": NAME, "arguments": {...}}``. Out: ``{"id": 1,
"answer": ...}`` or ``{"id": 1, "error": {...}}``, and ``{"event": CLASS, ...}`` for every typed
event, as ibind hands it to its sink.
"""

import json
import sys
import threading
from enum import Enum

from ibind import ExternalBrokerError, IbkrClient, IbkrWsClient
from ibind.subscriptions import MarketDataSubscription, PriceLadderSubscription

_printing = threading.Lock()


def say(value):
    with _printing:
        print(json.dumps(value, default=plain), flush=True)


def plain(value):
    return value.value if isinstance(value, Enum) else str(value)


class Printer:
    def emit(self, event):
        say({"event": type(event).__name__, **event.model_dump()})


class Remote:
    def __init__(self, address, account, certificate):
        self.account = account
        self.rest = IbkrClient(account_id=account, url=f"{address}/v1/api/", cacert=certificate)
        self.ws = IbkrWsClient(
            account_id=account,
            url=f"{address.replace('https', 'wss')}/v1/api/ws",
            ibkr_client=self.rest,
            cacert=certificate,
            sink=Printer(),
        )

    def call_rest(self, method, arguments):
        answer = getattr(self.rest, method)(**arguments)
        return answer.data if hasattr(answer, "data") else answer

    def start(self):
        return self.ws.start()

    def subscribe_ladder(self, conid, exchange=None):
        subscription = PriceLadderSubscription(
            account_id=self.account, conid=conid, exchange=exchange
        )
        return self._subscribed(subscription)

    def subscribe_quote(self, conid, fields):
        return self._subscribed(MarketDataSubscription(conid=conid, fields=fields))

    def unsubscribe_ladder(self, conid):
        subscription = PriceLadderSubscription(account_id=self.account, conid=conid)
        return self.ws.unsubscribe(subscription).wait(10)

    def unsubscribe_quote(self, conid, fields):
        subscription = MarketDataSubscription(conid=conid, fields=fields)
        return self.ws.unsubscribe(subscription).wait(10)

    def _subscribed(self, subscription):
        handle = self.ws.subscribe(subscription)
        return {"done": handle.wait(20), "key": handle.binding_key, "status": handle.status.value}

    def state(self):
        return self.ws.get_state().value

    def binding(self, key):
        return self.ws.get_binding_status(key).value

    def shutdown(self):
        return self.ws.shutdown()


def main():
    remote = Remote(*sys.argv[1:4])
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = getattr(remote, order["do"])(**order["arguments"])
        except Exception as error:
            status = error.status_code if isinstance(error, ExternalBrokerError) else None
            said = {"type": type(error).__name__, "status": status, "text": str(error)}
            say({"id": order["id"], "error": said})
        else:
            say({"id": order["id"], "answer": answer})


main()
