"use strict";
// The faces: galleries = [{codec, layers, faces: [{name, original, decoded: [shot], anchors: {name: [shot]}}]}], where a
// shot is {picture, bytes, quality, metrics: [[label, value]], landmarks: [[x, y]]}; one of each list a layer.
function startFaces(galleries) {
  if (!galleries.length) return;
  const SVG = "http://www.w3.org/2000/svg";
  const part = (id) => document.getElementById(id);
  const [strip, chunks, arrived, arrival, play] = ["strip", "chunks", "arrived", "arrival", "play"].map(part);
  const [gallery, anchor, landmarks, numbers] = ["gallery", "anchor", "landmarks", "numbers"].map(part);
  let chosen = 0;
  let timer = null;

  const shown = () => galleries[Number(gallery.value)];
  const face = () => shown().faces[chosen];
  const total = () => face().decoded.at(-1).bytes;
  const complete = (bytes) => face().decoded.filter((shot) => shot.bytes <= bytes).length;

  function options(select, names) {
    const before = select.selectedOptions[0]?.textContent;
    select.replaceChildren(...names.map((name, place) => new Option(name, place, false, name === before)));
    part(`${select.id}-label`).hidden = names.length < (select === gallery ? 2 : 1);
  }

  function chooseGallery() {
    options(anchor, Object.keys(shown().faces[0].anchors));
    strip.replaceChildren(...shown().faces.map((one, place) => {
      const button = document.createElement("button");
      const picture = new Image();
      button.type = "button";
      picture.src = one.original.picture;
      picture.alt = `Face ${one.name}`;
      button.append(picture);
      button.addEventListener("click", () => chooseFace(place));
      return button;
    }));
    chooseFace(Math.min(chosen, shown().faces.length - 1));
  }

  function chooseFace(place) {
    const ended = !arrived.max || arrived.value === arrived.max;
    chosen = place;
    [...strip.children].forEach((button, number) => button.setAttribute("aria-pressed", number === place));
    arrived.max = total();
    if (ended) arrived.value = total();
    let before = 0;
    chunks.replaceChildren(...face().decoded.map((shot, layer) => {
      const chunk = document.createElement("div");
      chunk.style.flexGrow = shot.bytes - before;
      chunk.dataset.layer = layer;
      chunk.textContent = `${shown().layers[layer]} ${shot.bytes - before}`;
      before = shot.bytes;
      return chunk;
    }));
    update();
  }

  function update() {
    const bytes = Number(arrived.value);
    const layers = complete(bytes);
    const next = face().decoded[layers];
    const before = layers ? face().decoded[layers - 1].bytes : 0;
    [...chunks.children].forEach((chunk, layer) => {
      const [start, end] = [layer ? face().decoded[layer - 1].bytes : 0, face().decoded[layer].bytes];
      chunk.style.setProperty("--arrived", `${Math.min(Math.max((bytes - start) / (end - start), 0), 1) * 100}%`);
      chunk.classList.toggle("whole", layer < layers);
    });
    const waiting = next ? `, ${shown().layers[layers]} ${bytes - before} of ${next.bytes - before}` : "";
    const names = shown().layers.slice(0, layers).join(" + ") || "nothing to decode yet";
    arrival.textContent = `${bytes} of ${total()} bytes: ${names}${waiting}`;
    arrived.setAttribute("aria-valuetext", arrival.textContent);
    fill("original", face().original, "Original", "");
    const shot = face().decoded[layers - 1];
    fill("decoded", shot, layers ? `${shown().codec}, ${shown().layers[layers - 1]}` : shown().codec, shot ? `${shot.bytes} bytes` : "waiting for the first layer");
    const other = anchor.selectedOptions[0]?.textContent;
    part("beside").hidden = !other;
    if (!other) return;
    const rival = face().anchors[other][layers - 1];
    const more = rival ? rival.bytes - shot.bytes : 0;
    fill("beside", rival, other, rival ? `${rival.bytes} bytes${more > 0 ? `: its smallest file, ${more} more` : `, quality ${rival.quality}`}` : "no bytes yet");
    part("beside").classList.toggle("over", more > 0);
  }

  function fill(id, shot, title, words) {
    const frame = part(id).querySelector(".frame");
    const caption = part(id).querySelector("figcaption");
    const heading = document.createElement("strong");
    heading.textContent = title;
    caption.replaceChildren(heading, ` ${words}`);
    frame.replaceChildren();
    if (!shot) return;
    const picture = new Image();
    picture.src = shot.picture;
    picture.alt = `${title}: face ${face().name}${words ? `, ${words}` : ""}`;
    frame.append(picture);
    if (landmarks.checked && shot.landmarks.length) frame.append(marked(shot));
    if (numbers.checked && shot.metrics) frame.append(badge(shot.metrics));
  }

  function marked(shot) {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 1 1");
    svg.setAttribute("aria-hidden", "true");
    shot.landmarks.forEach(([x, y], place) => {
      const [from, to] = [face().original.landmarks[place] || [x, y], [x, y]];
      const line = document.createElementNS(SVG, "line");
      Object.entries({ x1: from[0], y1: from[1], x2: to[0], y2: to[1] }).forEach(([key, value]) => line.setAttribute(key, value));
      const dot = document.createElementNS(SVG, "circle");
      Object.entries({ cx: to[0], cy: to[1], r: 0.007 }).forEach(([key, value]) => dot.setAttribute(key, value));
      svg.append(line, dot);
    });
    return svg;
  }

  function badge(metrics) {
    const list = document.createElement("dl");
    metrics.forEach(([label, value]) => {
      const [term, number] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = label;
      number.textContent = value;
      list.append(term, number);
    });
    return list;
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  }

  function start() {
    if (timer) return stop();
    if (Number(arrived.value) >= total()) arrived.value = 0;
    play.textContent = "Pause";
    timer = setInterval(() => {
      arrived.value = Number(arrived.value) + Math.max(1, Math.round(total() / 100));
      update();
      if (Number(arrived.value) >= total()) stop();
    }, 50);
  }

  options(gallery, galleries.map((one) => one.codec));
  gallery.addEventListener("change", chooseGallery);
  anchor.addEventListener("change", update);
  landmarks.addEventListener("change", update);
  numbers.addEventListener("change", update);
  arrived.addEventListener("input", () => { stop(); update(); });
  play.addEventListener("click", start);
  chooseGallery();
}
