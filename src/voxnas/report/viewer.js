// Slice viewer: three planes through one voxel of a test scan, with the label maps of the data set and of the winner.
const viewer = document.getElementById("viewer");
if (viewer) {
  const data = JSON.parse(document.getElementById("viewer-data").textContent), part = name => viewer.querySelector(`[data-part=${name}]`);
  const COLOURS = [[86, 180, 233], [230, 159, 0], [0, 158, 115], [240, 228, 66], [204, 121, 167], [213, 94, 0]];
  const colour = label => COLOURS[(label - 1) % COLOURS.length];
  // Each plane: its axes (across, up, through) as indices of the volume, and the letters at its left and right.
  const PLANES = {axial: [0, 1, 2, "L", "R"], coronal: [0, 2, 1, "L", "R"], sagittal: [1, 2, 0, "P", "A"]};
  let scan = null, place = [0, 0, 0];
  const bytes = async text => {
    const packed = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    return new Uint8Array(await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer());
  };
  const spacing = axis => Math.hypot(...scan.affine.map(row => row[axis]));
  const at = ([x, y, z]) => (x * scan.shape[1] + y) * scan.shape[2] + z;
  const millimetres = voxel => scan.affine.map(row => row[3] + voxel.reduce((sum, value, axis) => sum + row[axis] * value, 0));
  const draw = (name, [across, up, through, left, right]) => {
    const canvas = part(name), width = scan.shape[across], height = scan.shape[up];
    const unit = 420 / Math.max(...[0, 1, 2].map(axis => scan.shape[axis] * spacing(axis))); // pixels per mm
    const dx = spacing(across) * unit, dy = spacing(up) * unit;
    canvas.width = Math.round(width * dx); canvas.height = Math.round(height * dy);
    // All planes have the same scale.
    canvas.style.width = `${100 * width * spacing(across) / Math.max(scan.shape[0] * spacing(0), scan.shape[1] * spacing(1))}%`;
    const pen = canvas.getContext("2d"), voxel = [...place];
    const label = (map, i, j) => {
      if (i < 0 || j < 0 || i >= width || j >= height) return 0;
      voxel[across] = i; voxel[up] = j;
      return map[at(voxel)];
    };
    const small = new OffscreenCanvas(width, height), image = new ImageData(width, height);
    const filled = part("prediction").checked, outlined = part("truth").checked;
    for (let j = 0; j < height; j++) for (let i = 0; i < width; i++) {
      const grey = label(scan.image, i, j), predicted = filled ? label(scan.prediction, i, j) : 0;
      const mix = predicted ? colour(predicted).map(value => 0.5 * grey + 0.5 * value) : [grey, grey, grey];
      image.data.set([...mix, 255], 4 * ((height - 1 - j) * width + i));
    }
    small.getContext("2d").putImageData(image, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(small, 0, 0, canvas.width, canvas.height);
    const line = (x0, y0, x1, y1) => { pen.moveTo(x0, y0); pen.lineTo(x1, y1); };
    if (outlined) {
      for (const [wide, style] of [[3.5, "#000000"], [1.8, "#ff4d4d"]]) {
        pen.beginPath(); pen.lineWidth = wide; pen.strokeStyle = style;
        for (let j = 0; j <= height; j++) for (let i = 0; i <= width; i++) {
          const own = label(scan.truth, i, j), x = i * dx, y = canvas.height - j * dy;
          if (own !== label(scan.truth, i - 1, j)) line(x, y, x, y - dy);
          if (own !== label(scan.truth, i, j - 1)) line(x, y, x + dx, y);
        }
        pen.stroke();
      }
    }
    pen.beginPath(); pen.lineWidth = 1; pen.strokeStyle = "rgba(255,255,255,0.55)";
    const x = (place[across] + 0.5) * dx, y = canvas.height - (place[up] + 0.5) * dy;
    line(x, 0, x, y - 8); line(x, y + 8, x, canvas.height); line(0, y, x - 8, y); line(x + 8, y, canvas.width, y);
    pen.stroke();
    const write = (text, x, y, align) => {
      pen.font = "bold 15px sans-serif"; pen.textAlign = align; pen.lineWidth = 3; pen.strokeStyle = "#000000"; pen.fillStyle = "#ffffff";
      pen.strokeText(text, x, y); pen.fillText(text, x, y);
    };
    write(left, 5, 18, "left"); write(right, canvas.width - 5, 18, "right");
    const extent = width * spacing(across), length = [100, 50, 20, 10, 5, 2, 1].find(one => one <= 0.4 * extent) || 1;
    pen.fillStyle = "#000000"; pen.fillRect(5, canvas.height - 10, length * unit + 2, 5);
    pen.fillStyle = "#ffffff"; pen.fillRect(6, canvas.height - 9, length * unit, 3);
    write(`${length} mm`, 6, canvas.height - 15, "left");
    const position = millimetres(place)[through].toFixed(1);
    canvas.setAttribute("aria-label", `${name} slice of ${scan.scan} at ${"xyz"[through]} = ${position} mm, ${left} at the left, ${right} at the right`);
  };
  const show = () => {
    for (const [name, plane] of Object.entries(PLANES)) {
      const slider = part(`${name}-slice`);
      slider.max = scan.shape[plane[2]] - 1; slider.value = place[plane[2]];
      draw(name, plane);
    }
    const named = map => map[at(place)] ? data.labels[map[at(place)] - 1] : "background";
    const [x, y, z] = millimetres(place).map(value => value.toFixed(1).replace("-", "−"));
    part("place").textContent = `x ${x}, y ${y}, z ${z} mm (R, A, S) · truth: ${named(scan.truth)} · prediction: ${named(scan.prediction)}`;
  };
  const open = async number => {
    const packed = data.scans[number];
    const [image, truth, prediction] = await Promise.all([packed.image, packed.truth, packed.prediction].map(bytes));
    scan = {...packed, image, truth, prediction};
    // The start: the axial slice with the largest labelled area, at the centre of its labels.
    const areas = new Map();
    truth.forEach((value, index) => { if (value) { const z = index % scan.shape[2]; areas.set(z, (areas.get(z) || 0) + 1); } });
    const best = [...areas].sort((a, b) => b[1] - a[1])[0];
    place = scan.shape.map(size => size >> 1);
    if (best) {
      let x = 0, y = 0;
      truth.forEach((value, index) => {
        if (value && index % scan.shape[2] === best[0]) { x += Math.floor(index / scan.shape[2] / scan.shape[1]); y += Math.floor(index / scan.shape[2]) % scan.shape[1]; }
      });
      place = [Math.round(x / best[1]), Math.round(y / best[1]), best[0]];
    }
    show();
    viewer.dataset.open = packed.scan;
  };
  for (const [name, [across, up, through]] of Object.entries(PLANES)) {
    part(`${name}-slice`).addEventListener("input", event => { if (scan) { place[through] = Number(event.target.value); show(); } });
    part(name).addEventListener("click", event => {
      if (!scan) return;
      const box = event.target.getBoundingClientRect(), inside = (share, size) => Math.min(size - 1, Math.max(0, Math.floor(share * size)));
      place[across] = inside((event.clientX - box.left) / box.width, scan.shape[across]);
      place[up] = inside(1 - (event.clientY - box.top) / box.height, scan.shape[up]);
      show();
    });
  }
  for (const name of ["truth", "prediction"]) part(name).addEventListener("change", () => scan && show());
  part("scan").addEventListener("change", event => open(Number(event.target.value)));
  part("key").append(...data.labels.map((name, i) => {
    const item = document.createElement("span"), patch = document.createElement("i");
    patch.style.background = `rgb(${colour(i + 1)})`; item.append(patch, name);
    return item;
  }));
  open(0);
}
