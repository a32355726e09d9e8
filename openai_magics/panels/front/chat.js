function render({ model, el }) {
  const log = document.createElement("div");
  log.setAttribute("role", "log");
  const box = document.createElement("textarea");
  box.setAttribute("aria-label", "Message");
  const growing = document.createElement("pre");
  const told = (message) => {
    if (message.type === "text") growing.textContent += message.text;
    if (message.type === "error") growing.textContent = message.text;
    if (message.type !== "turns") return;
    growing.textContent = "";
    log.replaceChildren();
    for (const turn of message.turns) {
      const asked = document.createElement("p");
      asked.textContent = turn.asked;
      const answer = document.createElement("div");
      answer.innerHTML = turn.html; // made by our own renderer, in which nothing is active
      log.append(asked, answer);
    }
  };
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    model.send({ type: "ask", text: box.value });
    box.value = "";
  });
  model.on("msg:custom", told);
  el.classList.add("oai-chat");
  el.dataset.lmSuppressShortcuts = "true";
  el.append(log, growing, box);
  model.send({ type: "ready" });
  return () => model.off("msg:custom", told);
}

export default { render };
