// The work that the page asks for is done by a worker; then the form is sent as if it were filled in. Without this, people answer.

const form = document.getElementById("gate");
const status = document.getElementById("gate-status");

// A browser that keeps no cookie would come here again and again.
function comesTooOften() {
  try {
    const before = JSON.parse(sessionStorage.getItem("gate") || "[]").filter((moment) => Date.now() - moment < 60000);
    sessionStorage.setItem("gate", JSON.stringify([...before, Date.now()]));
    return before.length >= 3;
  } catch {
    return true;
  }
}

function stop(words) {
  status.textContent = words;
  document.getElementById("gate-idle").hidden = true;
}

if (form && !("stopped" in form.dataset)) {
  if (!navigator.cookieEnabled || comesTooOften()) {
    stop("This browser seems to keep no cookie of this server, so it would be asked again and again. Please allow its cookies.");
  } else {
    status.textContent = "Your browser is doing a short calculation …";
    const worker = new Worker(form.dataset.worker);
    worker.onmessage = (event) => {
      worker.terminate();
      form.elements.nonce.value = event.data;
      form.submit();
    };
    worker.onerror = () => stop("The calculation did not work in this browser. Please answer the question.");
    worker.postMessage({ text: form.dataset.challenge, bits: Number(form.dataset.bits) });
  }
}
