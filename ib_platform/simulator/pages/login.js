// The login as one page: what was typed stays in the fields until somebody is let in.
const settings = JSON.parse(document.getElementById("settings").textContent);
const form = document.getElementById("credentials");
const toggle = document.getElementById("toggle1");
const errorLine = document.getElementById("login-error");
const stepArea = document.getElementById("step");
let exchange = null;
let busy = false;
let shownSteps = 0;

function showError(text) {
  leaveStep();
  errorLine.textContent = text;
  errorLine.hidden = false;
}

function clearError() {
  errorLine.hidden = true;
  errorLine.textContent = "";
}

function leaveStep() {
  shownSteps += 1;
  stepArea.replaceChildren();
  form.hidden = false;
}

function showStep(name) {
  shownSteps += 1;
  form.hidden = true;
  stepArea.replaceChildren(document.getElementById("step-" + name).content.cloneNode(true));
  return shownSteps;
}

async function post(fields) {
  const answer = await fetch("/sso/Authenticator", {
    method: "POST",
    body: new URLSearchParams(fields),
  });
  if (!answer.ok) throw new Error("HTTP " + answer.status);
  return answer.json();
}

// One thing at a time; whatever goes wrong on the way is an error of the login.
async function attempt(work) {
  if (busy) return;
  busy = true;
  clearError();
  try {
    await work();
  } catch {
    showError(settings.failedText);
  } finally {
    busy = false;
  }
}

async function signIn() {
  const username = form.elements[settings.usernameField].value.trim();
  const password = form.elements.password.value;
  const mine = Srp.begin();
  const first = { ACTION: "INIT", USER: username, A: mine.A };
  if (toggle) first.LOGIN_TYPE = toggle.checked ? "2" : "1";
  const challenge = await post(first);
  const { M1, M2 } = Srp.prove(mine, username, password, challenge);
  exchange = challenge.EXCHANGE;
  const answer = await post({ ACTION: "COMPLETEAUTH", EXCHANGE: exchange, M1 });
  if (answer.step !== "error" && answer.M2 !== M2) throw new Error("not the server it claims");
  go(answer);
}

function go(answer) {
  if (answer.step === "error") showError(answer.text);
  else if (answer.step === "done") dispatch();
  else if (answer.step === "promo") showPromo();
  else if (answer.step === "code") showCode();
  else if (answer.step === "devices") showDevices(answer.devices);
  else if (answer.step === "notification") waitFor(showStep("notification"));
}

function dispatch() {
  const dispatcher = document.getElementById("dispatcher");
  dispatcher.elements.EXCHANGE.value = exchange;
  dispatcher.submit();
}

function secondFactor(fields) {
  return attempt(async () => go(await post({ ACTION: "COMPLETETWOFACT", EXCHANGE: exchange, ...fields })));
}

function showPromo() {
  showStep("promo");
  stepArea.querySelector(".ibkey-promo-skip").addEventListener("click", dispatch);
}

function showCode() {
  showStep("code");
  const input = stepArea.querySelector("input");
  stepArea.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    secondFactor({ CODE: input.value });
  });
  input.focus();
}

function showDevices(devices) {
  showStep("devices");
  const select = stepArea.querySelector("select");
  for (const device of devices) select.add(new Option(device, device));
  select.addEventListener("change", () => secondFactor({ DEVICE: select.value }));
}

async function waitFor(step) {
  while (step === shownSteps) {
    await new Promise((resolve) => setTimeout(resolve, settings.pollMilliseconds));
    if (step !== shownSteps) return;
    try {
      const answer = await post({ ACTION: "POLL", EXCHANGE: exchange });
      if (answer.step !== "waiting" && step === shownSteps) return go(answer);
    } catch {
      return showError(settings.failedText);
    }
  }
}

function resendNotification() {
  return attempt(() => post({ ACTION: "RESEND", EXCHANGE: exchange }));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(signIn);
});
if (toggle) {
  const showMode = () => document.body.classList.toggle("paper", toggle.checked);
  toggle.addEventListener("change", () => {
    clearError();
    showMode();
  });
  showMode();
}
