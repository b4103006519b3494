"use strict";
// A molecule in its electron cloud, to turn: iso-surfaces by surface nets (Gibson, doi 10.1007/BFb0056277), balls and sticks,
// drawn by WebGL. Clouds are read as decar/figures/report_clouds.py writes them.
const Viewer = (() => {
  async function inflate(text) {
    const bytes = Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  async function read(text) {
    const bytes = await inflate(text);
    const length = new DataView(bytes.buffer).getUint32(0, true);
    const cloud = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
    const size = cloud.shape[0] * cloud.shape[1] * cloud.shape[2];
    cloud.fields.forEach((field, place) => { field.bytes = bytes.subarray(4 + length + place * size, 4 + length + (place + 1) * size); });
    return cloud;
  }

  // Between a value and its share t of the scale, 0 to 1 (see report_clouds.py).
  const valueOf = (field, share) => field.scale * Math.sinh(share * Math.asinh(field.limit / field.scale));
  const shareOf = (field, value) => Math.asinh(value / field.scale) / Math.asinh(field.limit / field.scale);

  // Surface nets: a vertex in each cell that the surface crosses, at the mean of the crossings of its edges; a quad
  // around each edge of the grid that it crosses.
  function surface(values, shape, level) {
    const [nx, ny, nz] = shape;
    const strides = [ny * nz, nz, 1];
    const corners = [0, 1, 2, 3, 4, 5, 6, 7].map((corner) => (corner & 1) * strides[0] + ((corner >> 1) & 1) * strides[1] + (corner >> 2) * strides[2]);
    const edges = [];
    for (let a = 0; a < 8; a += 1) for (const bit of [1, 2, 4]) if (!(a & bit)) edges.push([a, a | bit, bit]);
    const index = new Int32Array(values.length).fill(-1);
    const points = [];
    const triangles = [];
    for (let x = 0; x < nx - 1; x += 1) for (let y = 0; y < ny - 1; y += 1) for (let z = 0; z < nz - 1; z += 1) {
      const here = x * strides[0] + y * strides[1] + z;
      let mask = 0;
      for (let corner = 0; corner < 8; corner += 1) if (values[here + corners[corner]] > level) mask |= 1 << corner;
      if (mask === 0 || mask === 255) continue;
      let count = 0, px = 0, py = 0, pz = 0;
      for (const [a, b, bit] of edges) {
        if (((mask >> a) & 1) === ((mask >> b) & 1)) continue;
        const from = values[here + corners[a]];
        const share = (level - from) / (values[here + corners[b]] - from);
        px += (a & 1) + (bit === 1 ? share : 0);
        py += ((a >> 1) & 1) + (bit === 2 ? share : 0);
        pz += (a >> 2) + (bit === 4 ? share : 0);
        count += 1;
      }
      index[here] = points.length / 3;
      points.push(x + px / count, y + py / count, z + pz / count);
    }
    for (let x = 0; x < nx - 1; x += 1) for (let y = 0; y < ny - 1; y += 1) for (let z = 0; z < nz - 1; z += 1) {
      const here = x * strides[0] + y * strides[1] + z;
      const isInside = values[here] > level;
      const place = [x, y, z];
      for (let axis = 0; axis < 3; axis += 1) {
        const u = (axis + 1) % 3, v = (axis + 2) % 3;
        if (place[u] === 0 || place[v] === 0 || isInside === values[here + strides[axis]] > level) continue;
        const quad = [index[here], index[here - strides[u]], index[here - strides[u] - strides[v]], index[here - strides[v]]];
        if (!isInside) quad.reverse();
        triangles.push(quad[0], quad[1], quad[2], quad[0], quad[2], quad[3]);
      }
    }
    return { points: new Float32Array(points), triangles };
  }

  function sample(values, shape, x, y, z) {
    const at = [x, y, z].map((value, axis) => Math.min(Math.max(value, 0), shape[axis] - 1.001));
    const low = at.map(Math.floor);
    let sum = 0;
    for (let corner = 0; corner < 8; corner += 1) {
      let weight = 1, place = 0;
      for (let axis = 0; axis < 3; axis += 1) {
        const up = (corner >> axis) & 1, part = at[axis] - low[axis];
        weight *= up ? part : 1 - part;
        place = place * shape[axis] + low[axis] + up;
      }
      sum += weight * values[place];
    }
    return sum;
  }

  const rgb = (text) => [1, 3, 5].map((place) => parseInt(text.slice(place, place + 2), 16) / 255);
  const mix = (a, b, share) => a.map((value, place) => value + (b[place] - value) * share);
  const SURFACE = { plain: rgb("#56B4E9"), positive: rgb("#0072B2"), negative: rgb("#D55E00"), middle: [0.93, 0.93, 0.93] };

  class Mesh {
    constructor() { this.points = []; this.normals = []; this.colours = []; this.triangles = []; }

    add(points, normals, colour, triangles) {
      const first = this.points.length / 3;
      for (const value of points) this.points.push(value);
      for (const value of normals) this.normals.push(value);
      for (let count = 0; count < points.length / 3; count += 1) this.colours.push(...(typeof colour === "function" ? colour(count) : colour));
      for (const corner of triangles) this.triangles.push(corner + first);
    }

    ball(centre, radius, colour, rings = 14) {
      const points = [], normals = [], triangles = [], width = 2 * rings + 1;
      for (let i = 0; i <= rings; i += 1) for (let j = 0; j < width; j += 1) {
        const polar = Math.PI * i / rings, angle = Math.PI * j / rings;
        const normal = [Math.sin(polar) * Math.cos(angle), Math.sin(polar) * Math.sin(angle), Math.cos(polar)];
        normals.push(...normal);
        points.push(...normal.map((value, axis) => centre[axis] + radius * value));
        if (i < rings && j < width - 1) { const a = i * width + j; triangles.push(a, a + 1, a + width, a + 1, a + width + 1, a + width); }
      }
      this.add(points, normals, colour, triangles);
    }

    stick(from, to, radius, colour, sides = 14) {
      const along = to.map((value, axis) => value - from[axis]);
      const other = Math.abs(along[0]) < Math.abs(along[1]) ? [1, 0, 0] : [0, 1, 0];
      const unit = (v) => { const length = Math.hypot(...v); return v.map((value) => value / length); };
      const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
      const u = unit(cross(along, other)), v = unit(cross(along, u));
      const points = [], normals = [], triangles = [];
      for (let j = 0; j <= sides; j += 1) {
        const angle = 2 * Math.PI * j / sides;
        const normal = u.map((value, axis) => value * Math.cos(angle) + v[axis] * Math.sin(angle));
        for (const end of [from, to]) { normals.push(...normal); points.push(...normal.map((value, axis) => end[axis] + radius * value)); }
        if (j < sides) { const a = 2 * j; triangles.push(a, a + 1, a + 2, a + 1, a + 3, a + 2); }
      }
      this.add(points, normals, colour, triangles);
    }
  }

  const VERTEX = `attribute vec3 point, normal, colour; uniform mat3 turn; uniform vec3 centre; uniform vec2 zoom;
    varying vec3 tone, out_normal; varying float depth;
    void main() { vec3 p = turn * (point - centre); out_normal = turn * normal; tone = colour; depth = p.z;
      gl_Position = vec4(p.xy * zoom, -p.z * 0.02, 1.0); }`;
  const FRAGMENT = `precision mediump float; varying vec3 tone, out_normal; varying float depth; uniform float alpha;
    void main() { vec3 n = normalize(out_normal); if (n.z < 0.0) n = -n;
      float light = 0.42 + 0.58 * max(dot(n, normalize(vec3(-0.4, 0.6, 0.8))), 0.0);
      float shine = pow(max(dot(n, normalize(vec3(-0.2, 0.35, 1.0))), 0.0), 40.0) * 0.25;
      float edge = alpha < 1.0 ? alpha + (1.0 - alpha) * 0.7 * pow(1.0 - n.z, 2.0) : 1.0;
      gl_FragColor = vec4(tone * light + shine, edge); }`;

  class View {
    constructor(canvas, elements) {
      this.canvas = canvas;
      this.elements = elements;
      this.gl = canvas.getContext("webgl", { alpha: false, antialias: true, preserveDrawingBuffer: true });
      if (this.gl) this.start();
    }

    start() {
      const { gl } = this;
      const program = gl.createProgram();
      for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
        const shader = gl.createShader(kind);
        gl.shaderSource(shader, source);
        gl.compileShader(shader);
        gl.attachShader(program, shader);
      }
      gl.linkProgram(program);
      gl.useProgram(program);
      this.program = program;
      this.uniform = Object.fromEntries(["turn", "centre", "zoom", "alpha"].map((name) => [name, gl.getUniformLocation(program, name)]));
      gl.getExtension("OES_element_index_uint");
      gl.enable(gl.DEPTH_TEST);
      gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
      this.follow();
    }

    // Drag turns, the wheel and two fingers zoom, arrows turn, a double click puts back.
    follow() {
      const { canvas } = this;
      const held = new Map();
      canvas.addEventListener("pointerdown", (event) => { held.set(event.pointerId, event); canvas.setPointerCapture(event.pointerId); });
      canvas.addEventListener("pointermove", (event) => {
        const last = held.get(event.pointerId);
        if (!last) return;
        if (held.size === 1) this.rotate((event.clientX - last.clientX) * 0.01, (event.clientY - last.clientY) * 0.01);
        else {
          const other = [...held.values()].find((one) => one.pointerId !== event.pointerId);
          const reach = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
          this.zoom(reach(event) / Math.max(1, reach(last)));
        }
        held.set(event.pointerId, event);
      });
      for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => held.delete(event.pointerId));
      canvas.addEventListener("wheel", (event) => { event.preventDefault(); this.zoom(Math.exp(-event.deltaY * 0.001)); }, { passive: false });
      canvas.addEventListener("dblclick", () => this.reset());
      canvas.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, -0.15], ArrowDown: [0, 0.15] }[event.key];
        if (step) { event.preventDefault(); this.rotate(...step); }
      });
    }

    rotate(right, down) {
      const [c, s, d, t] = [Math.cos(right), Math.sin(right), Math.cos(down), Math.sin(down)];
      const by = [c, 0, s, t * s, d, -t * c, -d * s, t, d * c];
      const old = this.turn;
      this.turn = by.map((_, place) => { const row = 3 * Math.floor(place / 3), column = place % 3; return by[row] * old[column] + by[row + 1] * old[column + 3] + by[row + 2] * old[column + 6]; });
      this.draw();
    }

    zoom(factor) { this.scale = Math.min(8, Math.max(0.3, this.scale * factor)); this.draw(); }

    reset() { this.turn = this.cloud.view.slice(); this.scale = 1; this.draw(); }

    show(cloud) {
      this.cloud = cloud;
      const positions = cloud.elements.map((_, atom) => cloud.positions.slice(3 * atom, 3 * atom + 3));
      this.centre = [0, 1, 2].map((axis) => positions.reduce((sum, one) => sum + one[axis], 0) / positions.length);
      this.reach = Math.max(...positions.map((one) => Math.hypot(...one.map((value, axis) => value - this.centre[axis])))) + 2.2;
      const solid = new Mesh();
      const colour = (atom) => rgb(this.elements[cloud.elements[atom]] || "#B0A0A0");
      positions.forEach((one, atom) => solid.ball(one, cloud.elements[atom] === 1 ? 0.22 : 0.32, colour(atom)));
      for (let bond = 0; bond < cloud.bonds.length; bond += 2) {
        const [a, b] = [cloud.bonds[bond], cloud.bonds[bond + 1]];
        const middle = positions[a].map((value, axis) => (value + positions[b][axis]) / 2);
        solid.stick(positions[a], middle, 0.1, colour(a));
        solid.stick(middle, positions[b], 0.1, colour(b));
      }
      this.solid = this.upload(solid);
      this.skin = null;
      this.turn = cloud.view.slice();
      this.scale = 1;
    }

    // Draw the surface field = value (and -value where the field has both signs), coloured by another field or plain.
    surface(field, share, painted) {
      const mesh = new Mesh();
      const spread = field.signed ? 127 : 255;
      const zero = field.signed ? 128 : 0;
      this.range = 0;
      this.add(mesh, field.bytes, field, zero + spread * share, field.signed ? SURFACE.positive : SURFACE.plain, painted);
      if (field.signed) this.add(mesh, field.bytes.map((value) => Math.max(0, 256 - value)), field, zero + spread * share, SURFACE.negative, painted);
      for (const buffer of Object.values(this.skin || {})) if (typeof buffer === "object") this.gl.deleteBuffer(buffer);
      this.skin = mesh.triangles.length ? this.upload(mesh) : null;
      this.canvas.dataset.triangles = mesh.triangles.length / 3;
      this.draw();
    }

    add(mesh, values, field, level, plain, painted) {
      const { shape, origin, spacing } = this.cloud;
      const { points, triangles } = surface(values, shape, Math.min(level, 254.5));
      const normals = new Float32Array(points.length);
      const shares = new Float32Array(points.length / 3);
      for (let place = 0; place < points.length; place += 3) {
        const at = [points[place], points[place + 1], points[place + 2]];
        for (let axis = 0; axis < 3; axis += 1) {
          const step = [0, 0, 0];
          step[axis] = 0.7;
          normals[place + axis] = sample(values, shape, at[0] - step[0], at[1] - step[1], at[2] - step[2]) - sample(values, shape, at[0] + step[0], at[1] + step[1], at[2] + step[2]);
        }
        if (painted) {
          const byte = sample(painted.bytes, shape, ...at);
          shares[place / 3] = valueOf(painted, painted.signed ? (byte - 128) / 127 : byte / 255);
        }
      }
      if (painted) this.range = Math.max(this.range, percentile(shares.map(Math.abs), 0.98));
      const colour = painted
        ? (vertex) => mix(SURFACE.middle, shares[vertex] < 0 ? SURFACE.negative : SURFACE.positive, Math.min(1, Math.abs(shares[vertex]) / (this.range || 1)))
        : plain;
      mesh.add(points.map((value, place) => origin[place % 3] + spacing * value), normals, colour, triangles);
    }

    upload(mesh) {
      const { gl } = this;
      const buffer = (kind, data) => { const one = gl.createBuffer(); gl.bindBuffer(kind, one); gl.bufferData(kind, data, gl.STATIC_DRAW); return one; };
      const buffers = { count: mesh.triangles.length, triangles: buffer(gl.ELEMENT_ARRAY_BUFFER, new Uint32Array(mesh.triangles)) };
      for (const [name, data] of [["point", mesh.points], ["normal", mesh.normals], ["colour", mesh.colours]]) buffers[name] = buffer(gl.ARRAY_BUFFER, new Float32Array(data));
      return buffers;
    }

    draw() {
      const { gl, canvas, turn } = this;
      const pixels = Math.round(canvas.clientWidth * Math.min(2, window.devicePixelRatio || 1)) || 400;
      if (canvas.width !== pixels) { canvas.width = pixels; canvas.height = pixels; }
      gl.viewport(0, 0, pixels, pixels);
      gl.clearColor(1, 1, 1, 1);
      gl.depthMask(true);
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      gl.uniformMatrix3fv(this.uniform.turn, false, [0, 1, 2].flatMap((column) => [turn[column], turn[3 + column], turn[6 + column]]));
      gl.uniform3fv(this.uniform.centre, this.centre);
      gl.uniform2f(this.uniform.zoom, this.scale / this.reach, this.scale / this.reach);
      gl.disable(gl.BLEND);
      gl.disable(gl.CULL_FACE);
      this.pass(this.solid, 1);
      if (!this.skin) return;
      // The far side of the surface first, then the near side: both are seen through.
      gl.enable(gl.BLEND);
      gl.depthMask(false);
      gl.enable(gl.CULL_FACE);
      for (const side of [gl.FRONT, gl.BACK]) { gl.cullFace(side); this.pass(this.skin, 0.3); }
    }

    pass(buffers, alpha) {
      const { gl, program } = this;
      gl.uniform1f(this.uniform.alpha, alpha);
      for (const name of ["point", "normal", "colour"]) {
        const place = gl.getAttribLocation(program, name);
        gl.bindBuffer(gl.ARRAY_BUFFER, buffers[name]);
        gl.enableVertexAttribArray(place);
        gl.vertexAttribPointer(place, 3, gl.FLOAT, false, 0, 0);
      }
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, buffers.triangles);
      gl.drawElements(gl.TRIANGLES, buffers.count, gl.UNSIGNED_INT, 0);
    }
  }

  function percentile(values, share) {
    const sorted = Float32Array.from(values).sort();
    return sorted.length ? sorted[Math.floor(share * (sorted.length - 1))] : 0;
  }

  return { View, inflate, read, valueOf, shareOf };
})();
