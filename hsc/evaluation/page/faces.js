"use strict";
// The faces: any two codecs at any rates, side by side. faces = {pictures: [data URI],
// codecs: [{name, layers, trained_on}], metrics: [{name, label, unit, scale, decimals, higher}], sides: [name, name],
// layer_colours: [colour],
// faces: [{name, original: {picture, landmarks}, shots: {codec: [{quality, layer, bytes, metrics, picture, landmarks}]}}]},
// where `picture` is an index into `pictures` and landmarks are fractions of the side.
function startFaces(data, view) {
  const SVG = "http://www.w3.org/2000/svg";
  const ORIGINAL = "original";
  const GAIN = 4; // of differences
  const SIDES = ["left", "right"];
  const part = (id) => document.getElementById(id);
  const [strip, play, slider, stops, budget, panels, wipe] = ["strip", "play", "bytes", "stops", "budget", "panels", "wipe"].map(part);
  const [mode, zoom, judge, order, landmarks, numbers] = ["mode", "zoom", "judge", "order", "landmarks", "numbers"].map(part);
  const codec = Object.fromEntries(SIDES.map((side) => [side, part(side)]));
  const rate = Object.fromEntries(SIDES.map((side) => [side, part(`${side}-rate`)]));
  const codecs = Object.fromEntries(data.codecs.map((one) => [one.name, one]));
  let chosen = null; // the selected face
  let bytes = null; // byte limit of both sides
  let pan = { x: 0.5, y: 0.5 }; // of the part that a zoom hides, the fraction left of and above the frame
  let timer = null;
  let drawing = 0; // number of the latest request: differences are drawn asynchronously

  const metric = () => data.metrics.find((one) => one.name === judge.value);
  const trained = (name, metricName) => codecs[name] !== undefined && codecs[name].trained_on.includes(metricName);
  const told = (one, value) => `${(one.scale * value).toFixed(one.decimals)} ${one.unit}`.trim();

  // The files of a codec for a face, by increasing size.
  function files(face, side) {
    return [...(face.shots[codec[side].value] || [])].sort((one, other) => one.bytes - other.bytes);
  }

  function value(shot) {
    const found = metric() && shot && shot.metrics[judge.value];
    return found === undefined || found === null ? null : metric().higher ? found : -found;
  }

  // The picture that a side shows of a face: {shot, over}, `over` the bytes by which even the smallest file exceeds the
  // limit; null if there is none.
  function shown(face, side) {
    const all = files(face, side);
    const [kind, quality, layer] = rate[side].value.split("|");
    if (codec[side].value === ORIGINAL || !all.length) return null;
    if (kind === "fixed") return { shot: all.find((shot) => String(shot.quality) === quality && shot.layer === layer) || all[0], over: 0 };
    const own = kind === "file" ? all.filter((shot) => String(shot.quality) === quality) : all;
    const within = own.filter((shot) => shot.bytes <= bytes);
    if (!within.length) return kind === "file" ? null : { shot: own[0], over: own[0].bytes - bytes };
    if (kind === "file") return { shot: within.reduce(later), over: 0 };
    return { shot: within.reduce((best, shot) => (value(shot) ?? -Infinity) >= (value(best) ?? -Infinity) ? shot : best), over: 0 };
  }

  // The longer of two prefixes of a file; layers may be empty.
  function later(one, other) {
    const layers = codecs[codec.left.value]?.layers.includes(one.layer) ? codecs[codec.left.value].layers : codecs[codec.right.value].layers;
    return layers.indexOf(other.layer) > layers.indexOf(one.layer) ? other : one;
  }

  function named(shot) {
    return `quality ${shot.quality}${shot.layer ? `, up to ${shot.layer}` : ""}`;
  }

  function fillCodecs() {
    const names = [...data.codecs.map((one) => one.name), ORIGINAL];
    SIDES.forEach((side, place) => {
      const wanted = view.get(`faces.${side}`);
      const usual = data.sides[place];
      codec[side].replaceChildren(...names.map((name) => new Option(name === ORIGINAL ? "the original" : name, name)));
      codec[side].value = names.includes(wanted) ? wanted : usual;
      codec[side].addEventListener("input", () => {
        view.keep(`faces.${side}`, codec[side].value, usual);
        fillRates(side);
        refresh();
      });
      fillRates(side, view.get(`faces.${side}.at`));
      rate[side].addEventListener("input", () => {
        view.keep(`faces.${side}.at`, rate[side].value, "best");
        refresh();
      });
    });
  }

  function fillRates(side, wanted) {
    const own = codecs[codec[side].value];
    const all = data.faces.flatMap((face) => face.shots[codec[side].value] || []);
    const qualities = [...new Set(all.map((shot) => shot.quality))];
    const group = (label, options) => {
      const made = document.createElement("optgroup");
      made.label = label;
      made.append(...options);
      return made;
    };
    const fixed = [...new Map(all.map((shot) => [`fixed|${shot.quality}|${shot.layer}`, named(shot)]))];
    const before = wanted ?? rate[side].value;
    rate[side].replaceChildren(new Option("best within the bytes below", "best"));
    if (own && own.layers.length) {
      rate[side].append(group("The bytes of one file as they arrive", qualities.map((quality) => new Option(`file of quality ${quality}`, `file|${quality}`))));
    }
    if (own) rate[side].append(group("One rate", fixed.map(([key, words]) => new Option(words, key))));
    rate[side].value = [...rate[side].options].some((option) => option.value === before) ? before : "best";
    rate[side].disabled = !own;
    if (wanted === undefined) view.keep(`faces.${side}.at`, rate[side].value, "best");
  }

  function fillJudges() {
    const marked = (one) => data.codecs.some((other) => other.trained_on.includes(one.name));
    const usual = (data.metrics.find((one) => !marked(one)) || data.metrics[0] || {}).name;
    judge.replaceChildren(...data.metrics.map((one) => new Option(`${one.label}${marked(one) ? " †" : ""}`, one.name)));
    judge.parentElement.hidden = !data.metrics.length;
    if (!data.metrics.length) return;
    const wanted = view.get("faces.judge");
    judge.value = data.metrics.some((one) => one.name === wanted) ? wanted : usual;
    judge.addEventListener("input", () => {
      view.keep("faces.judge", judge.value, usual);
      refresh();
    });
  }

  // The faces that both sides have, in the selected order.
  function ordered() {
    const both = data.faces.filter((face) => SIDES.every((side) => codec[side].value === ORIGINAL || files(face, side).length));
    const at = (face, side) => value(shown(face, side)?.shot);
    const [one, other] = codec.left.value === ORIGINAL ? ["right", "left"] : SIDES;
    const keys = {
      data: () => 0,
      worst: (face) => at(face, one) ?? Infinity,
      lost: (face) => (at(face, "right") ?? Infinity) - (at(face, "left") ?? 0),
    };
    const key = new Map(both.map((face) => [face, keys[order.value](face)]));
    return order.value === "data" ? both : both.sort((a, b) => (key.get(a) === key.get(b) ? 0 : key.get(a) - key.get(b)));
  }

  // After a change of codecs, rates or order: update the strip of faces, then the pictures.
  function refresh() {
    const all = ordered();
    strip.replaceChildren(...all.map((face) => {
      const button = document.createElement("button");
      const picture = new Image();
      button.type = "button";
      button.dataset.face = face.name;
      picture.src = data.pictures[face.original.picture];
      picture.alt = `Face ${face.name}`;
      button.title = face.name;
      button.append(picture);
      button.addEventListener("click", () => {
        chosen = face;
        view.keep("faces.face", face.name, "");
        update();
      });
      return button;
    }));
    if (!all.includes(chosen)) chosen = all.find((face) => face.name === view.get("faces.face")) || all[0] || null;
    update();
  }

  // Ends of the slider in bytes; it is logarithmic: as many steps from 10 to 20 as from 100 to 200.
  function ends() {
    const sizes = SIDES.flatMap((side) => files(chosen, side)).map((shot) => shot.bytes);
    return sizes.length ? [Math.min(...sizes), Math.max(...sizes)] : [1, 2];
  }

  const share = (size, [low, high]) => (high > low ? Math.log(size / low) / Math.log(high / low) : 1);

  function update() {
    panels.hidden = !chosen;
    if (!chosen) {
      budget.textContent = "No face was kept for both.";
      return;
    }
    const range = ends();
    slider.value = Math.round(1000 * Math.min(Math.max(share(bytes, range), 0), 1));
    slider.disabled = SIDES.every((side) => codec[side].value === ORIGINAL || rate[side].value.startsWith("fixed"));
    play.disabled = slider.disabled;
    budget.textContent = `at most ${bytes} bytes`;
    slider.setAttribute("aria-valuetext", budget.textContent);
    [...strip.children].forEach((button) => button.setAttribute("aria-pressed", button.dataset.face === chosen.name));
    const sides = SIDES.map((side) => shown(chosen, side));
    drawStops(range, sides);
    panels.dataset.mode = mode.value;
    panels.style.setProperty("--zoom", zoom.value);
    panels.style.setProperty("--x", pan.x);
    panels.style.setProperty("--y", pan.y);
    panels.style.setProperty("--wipe", `${wipe.value}%`);
    fill("shown-original", content(chosen.original), [["Original", ""]]);
    SIDES.forEach((side, place) => {
      fill(`shown-${side}`, picture(side, sides[place]), [caption(side, sides[place])], sides[place]?.shot.metrics);
      part(`shown-${side}`).classList.toggle("over", Boolean(sides[place] && sides[place].over > 0));
    });
    showBoth(sides);
  }

  // Size of the median file of the left codec.
  function usualBytes() {
    const side = codec.left.value === ORIGINAL ? "right" : "left";
    const sizes = data.faces.flatMap((face) => files(face, side)).map((shot) => shot.bytes).sort((one, other) => one - other);
    return sizes[Math.floor(sizes.length / 2)] || 1;
  }

  function drawStops(range, sides) {
    stops.replaceChildren(...SIDES.flatMap((side, place) => files(chosen, side).map((shot) => {
      const stop = document.createElement("span");
      const layers = codecs[codec[side].value].layers;
      stop.style.left = `${100 * share(shot.bytes, range)}%`;
      stop.dataset.side = side;
      stop.style.background = data.layer_colours[layers.indexOf(shot.layer) % data.layer_colours.length];
      stop.classList.toggle("here", sides[place]?.shot === shot);
      return stop;
    })));
  }

  function picture(side, at) {
    if (codec[side].value === ORIGINAL) return content(chosen.original);
    return at && content(at.shot);
  }

  function caption(side, at) {
    const name = codec[side].value;
    if (name === ORIGINAL) return ["Original", ""];
    if (!at) return [name, "its first layer has not arrived"];
    const more = at.over > 0 ? `: its smallest file, ${at.over} more` : "";
    const judged = metric() && at.shot.metrics[judge.value] !== undefined;
    const mark = trained(name, judge.value) ? "†" : "";
    const words = judged ? ` · ${metric().label} ${told(metric(), at.shot.metrics[judge.value])}${mark}` : "";
    return [name, `${at.shot.bytes} bytes${more}, ${named(at.shot)}${words}`];
  }

  // A picture and its landmarks, which are zoomed together.
  function content(shot) {
    const made = document.createElement("div");
    const image = new Image();
    made.className = "content";
    image.src = data.pictures[shot.picture];
    image.alt = "";
    image.draggable = false;
    made.append(image);
    if (landmarks.checked && shot.landmarks.length) made.append(marked(shot));
    return made;
  }

  // A frame with captions: [name, text] for each picture in it.
  function fill(id, made, captions, metrics) {
    const frame = part(id).querySelector(".frame");
    part(id).querySelector("figcaption").replaceChildren(...captions.flatMap(([name, words], place) => {
      const heading = document.createElement("strong");
      heading.textContent = name;
      return [place ? " | " : "", heading, ` ${words}`];
    }));
    frame.replaceChildren();
    if (!made) return;
    const image = made.querySelector("img");
    if (image) image.alt = captions.map(([name, words]) => `${name}: face ${chosen.name}${words ? `, ${words}` : ""}`).join(" | ");
    frame.append(made);
    if (numbers.checked && metrics) frame.append(badge(metrics, captions[0][0]));
  }

  function showBoth(sides) {
    const [left, right] = SIDES.map((side, place) => picture(side, sides[place]));
    const captions = SIDES.map((side, place) => caption(side, sides[place]));
    wipe.hidden = mode.value !== "wipe";
    if (mode.value === "wipe") {
      const over = document.createElement("div");
      over.className = "over-other";
      if (left) over.append(left);
      const both = document.createElement("div");
      both.className = "wiped";
      if (right) both.append(right);
      both.append(over, Object.assign(document.createElement("div"), { className: "edge" }));
      fill("shown-both", both, captions);
    } else if (mode.value === "difference") {
      const made = document.createElement("div");
      const canvas = document.createElement("canvas");
      made.className = "content";
      made.append(canvas);
      const told = [`${captions[1][0]} less ${captions[0][0]}`, `in each colour, × ${GAIN}; black where they are equal`];
      fill("shown-both", left && right ? made : null, [told]);
      if (left && right) drawDifference(canvas, left.querySelector("img"), right.querySelector("img"));
    }
  }

  async function drawDifference(canvas, left, right) {
    const own = (drawing += 1);
    await Promise.all([left.decode(), right.decode()]);
    if (own !== drawing) return;
    [canvas.width, canvas.height] = [left.naturalWidth, left.naturalHeight];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const pixels = [left, right].map((image) => {
      context.drawImage(image, 0, 0, canvas.width, canvas.height);
      return context.getImageData(0, 0, canvas.width, canvas.height);
    });
    const [one, other] = pixels.map((image) => image.data);
    for (let place = 0; place < one.length; place += 1) {
      one[place] = place % 4 === 3 ? 255 : Math.min(GAIN * Math.abs(one[place] - other[place]), 255);
    }
    context.putImageData(pixels[0], 0, 0);
    canvas.dataset.drawn = "1";
  }

  function marked(shot) {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 1 1");
    svg.setAttribute("aria-hidden", "true");
    shot.landmarks.forEach(([x, y], place) => {
      const [from, to] = [chosen.original.landmarks[place] || [x, y], [x, y]];
      const line = document.createElementNS(SVG, "line");
      Object.entries({ x1: from[0], y1: from[1], x2: to[0], y2: to[1] }).forEach(([key, number]) => line.setAttribute(key, number));
      const dot = document.createElementNS(SVG, "circle");
      Object.entries({ cx: to[0], cy: to[1], r: 0.007 }).forEach(([key, number]) => dot.setAttribute(key, number));
      svg.append(line, dot);
    });
    return svg;
  }

  function badge(metrics, name) {
    const list = document.createElement("dl");
    data.metrics.filter((one) => metrics[one.name] !== undefined).forEach((one) => {
      const [term, number] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = `${one.label}${trained(name, one.name) ? " †" : ""}`;
      number.textContent = told(one, metrics[one.name]);
      list.append(term, number);
    });
    return list;
  }

  function spend(size) {
    bytes = size;
    update();
  }

  function keepBytes() {
    view.keep("faces.bytes", bytes, usualBytes());
  }

  function slide() {
    const [low, high] = ends();
    spend(Math.round(low * (high / low) ** (slider.value / 1000)));
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
    keepBytes();
  }

  function start() {
    if (timer) return stop();
    if (Number(slider.value) >= 1000) slider.value = 0;
    play.textContent = "Pause";
    timer = setInterval(() => {
      slider.value = Number(slider.value) + 8;
      slide();
      if (Number(slider.value) >= 1000) stop();
    }, 50);
  }

  // Dragging a picture pans a zoomed view or, without zoom, moves the edge of the wipe.
  function drag(event) {
    const frame = event.target.closest(".frame");
    if (!frame || event.buttons !== 1) return;
    const area = frame.getBoundingClientRect();
    const factor = Number(zoom.value) - 1;
    if (factor > 0) {
      const moved = (by, size, before) => Math.min(Math.max(before - by / (size * factor), 0), 1);
      pan = { x: moved(event.movementX, area.width, pan.x), y: moved(event.movementY, area.height, pan.y) };
      view.keep("faces.pan", `${pan.x.toFixed(3)},${pan.y.toFixed(3)}`, "0.500,0.500");
    } else if (frame.parentElement.id === "shown-both" && mode.value === "wipe") {
      wipe.value = Math.round((100 * (event.clientX - area.left)) / area.width);
      wipe.dispatchEvent(new Event("input"));
    }
    panels.style.setProperty("--x", pan.x);
    panels.style.setProperty("--y", pan.y);
  }

  const given = /^([\d.]+),([\d.]+)$/.exec(view.get("faces.pan") || "");
  if (given) pan = { x: Math.min(Number(given[1]), 1), y: Math.min(Number(given[2]), 1) };
  fillJudges();
  fillCodecs();
  bytes = Number(view.get("faces.bytes")) > 0 ? Number(view.get("faces.bytes")) : usualBytes();
  order.addEventListener("input", refresh);
  [mode, zoom, landmarks, numbers].forEach((control) => control.addEventListener("input", update));
  wipe.addEventListener("input", () => panels.style.setProperty("--wipe", `${wipe.value}%`));
  slider.addEventListener("input", () => { clearInterval(timer); slide(); });
  slider.addEventListener("change", () => { stop(); refresh(); });
  play.addEventListener("click", start);
  panels.addEventListener("pointermove", drag);
  refresh();
}
