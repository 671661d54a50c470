// A ThumbHash (https://evanw.github.io/thumbhash/) painted on a canvas: the blurred picture before the picture.

/** A canvas with the picture behind a base64 ThumbHash; null for one that is not valid. */
export function canvas(placeholder) {
  let hash;
  try {
    hash = Uint8Array.from(atob(placeholder), (letter) => letter.charCodeAt(0));
  } catch {
    return null;
  }
  if (hash.length < 5) return null;
  const { width, height, rgba } = decoded(hash);
  const made = Object.assign(document.createElement("canvas"), { width, height });
  made.setAttribute("aria-hidden", "true");
  made.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
  return made;
}

/** Size and pixels of a ThumbHash. */
export function decoded(hash) {
  const low = hash[0] | (hash[1] << 8) | (hash[2] << 16);
  const high = hash[3] | (hash[4] << 8);
  const mean = { l: (low & 63) / 63, p: ((low >> 6) & 63) / 31.5 - 1, q: ((low >> 12) & 63) / 31.5 - 1 };
  const hasAlpha = low >> 23 === 1;
  const lying = high >> 15 === 1;
  const long = hasAlpha ? 5 : 7;
  const [columns, rows] = lying ? [long, high & 7] : [high & 7, long];
  const alpha = hasAlpha ? (hash[5] & 15) / 15 : 1;

  let nibble = hasAlpha ? 12 : 10;
  const channel = (nx, ny, scale) => {
    const found = [];
    for (let y = 0; y < ny; y += 1)
      for (let x = y ? 0 : 1; x * ny < nx * (ny - y); x += 1, nibble += 1)
        found.push({ x, y, value: ((((hash[nibble >> 1] ?? 0) >> ((nibble & 1) * 4)) & 15) / 7.5 - 1) * scale });
    return found;
  };
  const l = channel(Math.max(3, columns), Math.max(3, rows), ((low >> 18) & 31) / 31);
  const p = channel(3, 3, (((high >> 3) & 63) / 63) * 1.25);
  const q = channel(3, 3, (((high >> 9) & 63) / 63) * 1.25);
  const a = hasAlpha ? channel(5, 5, (hash[5] >> 4) / 15) : [];

  const ratio = columns / rows;
  const [width, height] = ratio > 1 ? [32, Math.round(32 / ratio)] : [Math.round(32 * ratio), 32];
  const rgba = new Uint8ClampedArray(width * height * 4);
  for (let y = 0, at = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1, at += 4) {
      const sum = (start, terms) =>
        terms.reduce(
          (total, term) =>
            total +
            term.value *
              2 *
              Math.cos((Math.PI / width) * (x + 0.5) * term.x) *
              Math.cos((Math.PI / height) * (y + 0.5) * term.y),
          start,
        );
      const [light, yellow, red] = [sum(mean.l, l), sum(mean.p, p), sum(mean.q, q)];
      const blue = light - (2 / 3) * yellow;
      const r = (3 * light - blue + red) / 2;
      rgba.set([255 * r, 255 * (r - red), 255 * blue, 255 * sum(alpha, a)], at);
    }
  return { width, height, rgba };
}
