// Pages work without this. With it: uploads show how far they are, and cloaking is seen live.

const asJson = (url) => fetch(url, { headers: { accept: "application/json" } }).then((answer) => (answer.ok ? answer.json() : null));

function words(picture, cloaks) {
  if (picture.state === "ready") return cloaks ? "Cloaked, ready" : "Ready, not cloaked";
  if (picture.state === "failed") return picture.problem;
  if (picture.state === "cloaking") return `${cloaks ? "Cloaking" : "Preparing"} ${Math.round(picture.progress * 100)} %`;
  return "Waiting";
}

function watch(id, show) {
  let pause = 400;
  const ask = async () => {
    const found = await asJson(`/compose/${id}/progress`).catch(() => null);
    if (found && show(found) === "done") return;
    pause = Math.min(pause * 1.2, 3000);
    setTimeout(ask, pause);
  };
  setTimeout(ask, pause);
}

const composer = document.querySelector("[data-compose]");
if (composer) {
  const pieces = () => [...composer.querySelectorAll("[data-image]")];
  const isBusy = () => pieces().some((piece) => piece.querySelector("[data-state]").matches(".waiting, .cloaking"));
  if (isBusy()) {
    watch(composer.dataset.compose, (found) => {
      for (const picture of found.pictures) {
        const piece = composer.querySelector(`[data-image="${picture.id}"]`);
        if (!piece) continue;
        const state = piece.querySelector("[data-state]");
        state.className = `state ${picture.state}`;
        state.textContent = words(picture, piece.querySelector("input[type=checkbox]").checked);
        const empty = piece.querySelector(".unready");
        if (picture.preview && empty) {
          const image = new Image();
          image.src = picture.preview;
          image.alt = piece.querySelector("textarea").value;
          empty.replaceWith(image);
        }
      }
      return found.pictures.every((picture) => picture.state === "ready" || picture.state === "failed") ? "done" : "more";
    });
  }

  const input = composer.querySelector("input[type=file]");
  const bar = composer.querySelector("progress");
  if (input) {
    const send = () => {
      if (!input.files.length) return;
      const form = new FormData(composer);
      form.set("action", "add");
      const request = new XMLHttpRequest();
      bar.hidden = false;
      request.upload.addEventListener("progress", (event) => event.lengthComputable && (bar.value = event.loaded / event.total));
      request.addEventListener("load", () => {
        if (request.status === 200 && request.responseURL) {
          location.replace(request.responseURL.split("#")[0]);
          return;
        }
        // What the server says of the pictures it did not take; everything else was saved.
        const page = new DOMParser().parseFromString(request.responseText, "text/html");
        const main = page.querySelector("main");
        if (main) document.querySelector("main").replaceWith(main);
        scrollTo(0, 0);
      });
      request.addEventListener("error", () => composer.querySelector("button[value=add]").click());
      request.open("POST", composer.action);
      request.send(form);
    };
    input.addEventListener("change", send);
    const drop = composer.querySelector(".drop");
    for (const name of ["dragover", "dragleave", "drop"]) {
      drop.addEventListener(name, (event) => {
        event.preventDefault();
        drop.classList.toggle("over", name === "dragover");
        if (name === "drop" && event.dataTransfer.files.length) {
          input.files = event.dataTransfer.files;
          send();
        }
      });
    }
  }
}

const waiting = document.querySelector("[data-waiting]");
if (waiting) {
  watch(waiting.dataset.waiting, (found) => {
    if (found.state !== "waiting") {
      location.reload();
      return "done";
    }
    const share = found.pictures.length ? found.pictures.reduce((sum, picture) => sum + picture.progress, 0) / found.pictures.length : 1;
    waiting.querySelector("[data-state]").textContent = `Cloaking ${Math.round(share * 100)} %. The work goes out as soon as its pictures are ready.`;
    return "more";
  });
}
