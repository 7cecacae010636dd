"use strict";
const { questionnaire, seconds, pictures } = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const PLACE = `huenet-questionnaire-${questionnaire}`;
const PAUSE = 500; // milliseconds between an answer and the next picture

/** Who answers, how many pictures were begun to be shown, and what was answered, in how many milliseconds after each was hidden. */
let state = kept() || fresh();
let asked = null; // when the answer was first awaited, while it is

function fresh() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return { person: [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(""), shown: 0, answers: {}, milliseconds: {} };
}

function kept() {
  try {
    return JSON.parse(localStorage.getItem(PLACE));
  } catch {
    return null;
  }
}

function keep() {
  try {
    localStorage.setItem(PLACE, JSON.stringify(state));
    return true;
  } catch {
    return false;
  }
}

function only(section) {
  for (const each of ["intro", "asking", "done"]) at(each).hidden = each !== section;
}

function onStage(part) {
  for (const each of ["picture", "question", "cross"]) at(each).hidden = each !== part;
  for (const button of document.querySelectorAll("[data-answer]")) button.disabled = part !== "question";
}

const wait = (milliseconds) => new Promise((done) => { setTimeout(done, milliseconds); });
const answered = () => Object.keys(state.answers).length;

/** The next picture, or, where it was shown before a reload, the question only. */
async function proceed() {
  const index = answered();
  if (index >= pictures.length) {
    only("done");
    return;
  }
  only("asking");
  at("place").textContent = `Picture ${index + 1} of ${pictures.length}`;
  at("progress").max = pictures.length;
  at("progress").value = index;
  at("gone").hidden = state.shown <= index;
  if (state.shown <= index) await shown(index);
  onStage("question");
  asked = performance.now();
}

async function shown(index) {
  onStage("cross");
  const image = at("picture");
  image.src = pictures[index].src;
  await Promise.all([image.decode(), wait(PAUSE)]);
  state.shown = index + 1;
  keep();
  onStage("picture");
  await wait(seconds * 1000);
  image.removeAttribute("src");
}

function answer(value) {
  if (asked === null) return;
  const { id } = pictures[answered()];
  state.answers[id] = value;
  state.milliseconds[id] = Math.round(performance.now() - asked);
  asked = null;
  keep();
  proceed();
}

function save() {
  const { person, answers, milliseconds } = state;
  const text = JSON.stringify({ questionnaire, person, answers, milliseconds }, null, 1);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = `answers-${questionnaire.slice(0, 6)}-${person.slice(0, 6)}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  at("saved").textContent = `Saved as ${link.download}, where this browser keeps downloads.`;
}

function again() {
  if (!at("saved").textContent && !confirm("These answers are not saved yet, and will be lost. Start over?")) return;
  at("saved").textContent = "";
  state = fresh();
  begin();
}

function begin() {
  at("unkept").hidden = keep();
  if (state.shown || answered()) proceed();
  else only("intro");
}

at("total").textContent = String(pictures.length);
at("seconds").textContent = `${seconds} second${seconds === 1 ? "" : "s"}`;
const minutes = Math.max(1, Math.round((pictures.length * (seconds + 2.5)) / 60));
at("minutes").textContent = minutes === 1 ? "a minute" : `${minutes} minutes`;
at("start").addEventListener("click", proceed);
at("save").addEventListener("click", save);
at("again").addEventListener("click", again);
for (const button of document.querySelectorAll("[data-answer]")) button.addEventListener("click", () => answer(button.dataset.answer));
document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  const value = { r: "real", f: "fake" }[event.key.toLowerCase()];
  if (value) answer(value);
});
begin();
