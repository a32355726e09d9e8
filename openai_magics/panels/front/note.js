// What a panel says below its form. Both places are there from the beginning, since screen
// readers read out what changes in a place that they know.
function render({ model, el }) {
  const places = ["status", "alert"].map((role) => {
    const place = document.createElement("div");
    place.setAttribute("role", role);
    place.dir = "auto";
    el.append(place);
    return place;
  });
  function draw() {
    const [said, how] = [model.get("value"), model.get("how")];
    places.forEach((place, at) => {
      const text = Boolean(how) === Boolean(at) ? said : "";
      place.className = text ? `oai-note ${how ? `oai-${how}` : ""}` : "";
      if (place.textContent !== text) place.textContent = text;
    });
  }
  const names = ["value", "how"];
  for (const name of names) model.on(`change:${name}`, draw);
  draw();
  return () => {
    for (const name of names) model.off(`change:${name}`, draw);
  };
}

export default { render };
