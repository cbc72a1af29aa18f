// Pages work without this. With it: uploads show how far they are, and cloaking is seen live.

const asJson = (url) => fetch(url, { headers: { accept: "application/json" } }).then((answer) => (answer.ok ? answer.json() : null));

function watch(id, show, address = `/compose/${id}/progress`) {
  let pause = 400;
  const ask = async () => {
    const found = await asJson(address).catch(() => null);
    if (found && show(found) === "done") return;
    pause = Math.min(pause * 1.2, 3000);
    setTimeout(ask, pause);
  };
  setTimeout(ask, pause);
}

function showProblem(form, words) {
  const line = document.createElement("div");
  line.className = "problem";
  line.setAttribute("role", "alert");
  line.textContent = words;
  form.querySelectorAll(":scope > .problem").forEach((old) => old.remove());
  form.prepend(line);
  scrollTo(0, 0);
}

// What a picture's state changes on the page comes from the page itself, asked for anew. Fields keep what was typed.
async function renewPieces(composer) {
  const page = new DOMParser().parseFromString(await fetch(location.pathname).then((answer) => answer.text()), "text/html");
  for (const piece of composer.querySelectorAll("[data-image]")) {
    const fresh = page.querySelector(`[data-image="${piece.dataset.image}"]`);
    if (!fresh) continue;
    for (const part of [".thumb", "[data-live]"]) piece.querySelector(part).replaceWith(fresh.querySelector(part));
  }
  const actions = page.querySelector("[data-actions]");
  if (actions) composer.querySelector("[data-actions]").replaceWith(actions);
}

function followPieces(composer) {
  const isBusy = [...composer.querySelectorAll("[data-state]")].some((state) => state.matches(".waiting, .cloaking"));
  if (!isBusy) return;
  const ended = new Set();
  watch(composer.dataset.compose, (found) => {
    if (!composer.isConnected) return "done";
    let changed = false;
    for (const picture of found.pictures) {
      const piece = composer.querySelector(`[data-image="${picture.id}"]`);
      if (!piece) continue;
      if (picture.state === "waiting" || picture.state === "cloaking") {
        const state = piece.querySelector("[data-state]");
        state.className = `state ${picture.state}`;
        state.textContent = picture.told;
      } else if (!ended.has(picture.id)) {
        ended.add(picture.id);
        changed = true;
      }
    }
    if (changed) renewPieces(composer).catch(() => {});
    return found.pictures.every((picture) => ended.has(picture.id)) ? "done" : "more";
  });
}

// One picture, in parts. A line that breaks is taken up where it was; a file that was begun before, too.
const PART = 4 << 20;
const pause = (ms) => new Promise((go) => setTimeout(go, ms));

function sendPart(address, token, blob, offset, told) {
  return new Promise((done, lost) => {
    const request = new XMLHttpRequest();
    request.open("PATCH", address);
    request.setRequestHeader("content-type", "application/offset+octet-stream");
    request.setRequestHeader("upload-offset", offset);
    request.setRequestHeader("x-form-token", token);
    request.upload.addEventListener("progress", (event) => told(offset + event.loaded));
    request.addEventListener("load", () => done(request));
    for (const name of ["error", "timeout", "abort"]) request.addEventListener(name, lost);
    request.timeout = 600_000;
    request.send(blob);
  });
}

function wordsOf(text) {
  try {
    return JSON.parse(text).error;
  } catch {
    return "The upload did not succeed. Please try again.";
  }
}

async function beginUpload(composer, file, token) {
  const held = [...composer.querySelectorAll("[data-upload]")].find(
    (line) => line.dataset.name === file.name.slice(-200) && Number(line.dataset.length) === file.size,
  );
  if (held) {
    held.removeAttribute("data-upload");
    return `/uploads/${held.querySelector("button").value.slice(5)}`;
  }
  const name = btoa(String.fromCharCode(...new TextEncoder().encode(file.name.slice(-200))));
  const answer = await fetch(`/compose/${composer.dataset.compose}/uploads`, {
    method: "POST",
    headers: { "upload-length": file.size, "upload-metadata": `filename ${name}`, "x-form-token": token, accept: "application/json" },
  });
  if (!answer.ok) throw new Error(wordsOf(await answer.text()));
  return answer.headers.get("location");
}

async function uploadFile(composer, file, told) {
  const token = composer.querySelector("input[name=form_token]").value;
  const address = await beginUpload(composer, file, token);
  let offset = null;
  for (let lost = 0; lost < 12; ) {
    try {
      if (offset === null) {
        const held = await fetch(address, { method: "HEAD" });
        if (!held.ok) throw new Error("This upload is not there any more. Choose the picture again.");
        offset = Number(held.headers.get("upload-offset"));
      }
      const answer = await sendPart(address, token, file.slice(offset, offset + PART), offset, told);
      if (answer.status === 409 || answer.status >= 500) {
        if (answer.status === 507) throw new Error(wordsOf(answer.responseText));
        offset = null;
        await pause(Math.min(500 * 2 ** lost++, 15_000));
        continue;
      }
      if (answer.status !== 204) throw new Error(wordsOf(answer.responseText));
      offset = Number(answer.getResponseHeader("upload-offset"));
      lost = 0;
      if (answer.getResponseHeader("x-image")) return;
    } catch (problem) {
      if (problem instanceof Error && !(problem instanceof TypeError)) throw problem;
      offset = null;
      await pause(Math.min(500 * 2 ** lost++, 15_000));
    }
  }
  throw new Error("The upload was interrupted. Your words are still here; choose the pictures again, and they go on where they were.");
}

// Chosen or dropped pictures go up at once; then the words typed so far are saved, and the page shows what arrived.
function uploadAtOnce(composer) {
  const input = composer.querySelector("input[type=file]");
  if (!input) return;
  const bar = composer.querySelector("progress");
  const send = async () => {
    const files = [...input.files];
    if (!files.length) return;
    const whole = files.reduce((sum, file) => sum + file.size, 0) || 1;
    const problems = [];
    let before = 0;
    input.disabled = true;
    bar.hidden = false;
    for (const file of files) {
      try {
        await uploadFile(composer, file, (arrived) => (bar.value = (before + arrived) / whole));
      } catch (problem) {
        problems.push(`${file.name.slice(-80)}: ${problem instanceof TypeError ? "The line is down. Choose the picture again when it is back." : problem.message}`);
      }
      before += file.size;
    }
    bar.hidden = true;
    input.value = "";
    input.disabled = false;
    const form = new FormData(composer);
    form.set("action", "add");
    form.delete("pictures");
    // Not composer.action: a button of that name hides it.
    const text = await fetch(composer.getAttribute("action"), { method: "POST", body: form }).then((answer) => answer.text(), () => "");
    const main = new DOMParser().parseFromString(text, "text/html").querySelector("main");
    let shown = composer;
    if (main?.querySelector("[data-compose]")) {
      document.querySelector("main").replaceWith(main);
      shown = main.querySelector("[data-compose]");
      enhance();
    } else {
      problems.push(main?.innerText.trim() || "The line is down. Your words are still here.");
    }
    if (problems.length) showProblem(shown, problems.join(" "));
  };
  input.addEventListener("change", send);
  const drop = composer.querySelector(".drop");
  for (const name of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
      if (name === "drop" && event.dataTransfer.files.length && !input.disabled) {
        input.files = event.dataTransfer.files;
        send();
      }
    });
  }
}

// What is folded away tells its value in one line; that line follows what is chosen.
function tellFold(fold) {
  const parts = [];
  for (const field of fold.querySelectorAll("input, select")) {
    if (field.closest(".under")) continue;
    const words = field.closest("label").querySelector("span")?.firstChild?.textContent.trim();
    if (field.type === "radio" || field.type === "checkbox") field.checked && parts.push(words);
    else if (field.tagName === "SELECT") parts.push(field.selectedOptions[0].textContent.trim());
    else if (field.value.trim()) parts.push(field.value.trim());
  }
  fold.querySelector("[data-told]").textContent = parts.join("; ") || "None";
}

document.addEventListener("change", (event) => {
  const fold = event.target.closest(".fold");
  if (fold) tellFold(fold);
});

function enhance() {
  const composer = document.querySelector("[data-compose]");
  if (!composer) return;
  followPieces(composer);
  uploadAtOnce(composer);
}

enhance();

const waiting = document.querySelector("[data-waiting]");
if (waiting) {
  watch(waiting.dataset.waiting, (found) => {
    if (found.state !== "waiting") {
      location.reload();
      return "done";
    }
    waiting.querySelector("[data-state]").textContent = found.told;
    return "more";
  });
}

const delivering = document.querySelector("[data-delivering]");
if (delivering) {
  watch(delivering.dataset.delivering, (found) => {
    if (!found.deliveries) return "more";
    const { planned, delivered, failed } = found.deliveries;
    const refused = failed ? `, ${failed} did not take it` : "";
    const left = planned - delivered - failed;
    const late = left > 0 ? `, ${left} ${left === 1 ? "waits" : "wait"}` : "";
    delivering.textContent = `Delivered to ${delivered} of ${planned} ${planned === 1 ? "server" : "servers"}${late}${refused}.`;
    return delivered + failed >= planned ? "done" : "more";
  });
}

const copying = [...document.querySelectorAll("[data-copy]")].filter((line) => line.matches("[data-state=waiting], [data-state=making]"));
if (copying.length) {
  const work = copying[0].closest("[data-copies]").dataset.copies;
  copying.forEach((line) => (line.closest("details").open = true));
  const show = ({ copies }) => {
    for (const line of copying) {
      const copy = copies.find((one) => one.id === line.dataset.copy);
      if (!copy) continue;
      line.querySelector("[role=status]").textContent = copy.words;
      if (copy.state === "ready" && line.dataset.state !== "ready") {
        const link = document.createElement("a");
        link.href = `/copies/${copy.id}`;
        link.download = "";
        link.textContent = line.querySelector("span").textContent;
        line.querySelector("span").replaceWith(link);
      }
      line.dataset.state = copy.state;
    }
    return copying.every((line) => line.matches("[data-state=ready], [data-state=failed]")) ? "done" : "more";
  };
  watch(work, show, `/works/${work}/copies`);
}
