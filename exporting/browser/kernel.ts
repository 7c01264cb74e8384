// Matrix product in WebAssembly SIMD, in AssemblyScript: out = a b. `tests/exporting/test_kernel.py` builds kernel.wasm.
//
// `a` has `rows` rows, a multiple of 4, that lie `inner` apart, rounded up to 8. `b` has `columns` columns, a multiple
// of 8, in panels of 8 columns, which lie row by row one behind the other. `out` has rows of `columns`. All are
// addresses in bytes of float32. Every entry is summed from the first product to the last and rounded after each
// operation, as the plain path does it: both give the same bits.

export function multiply(out: usize, a: usize, b: usize, rows: i32, inner: i32, columns: i32): void {
  const stride: usize = ((inner + 7) & ~7) << 2;
  const across: usize = columns << 2;
  const panel: usize = inner << 5;
  for (let row = 0; row < rows; row += 4) {
    let right = b;
    for (let column: usize = 0; column < across; column += 32) {
      let left = a;
      const end = right + panel;
      let a0 = f32x4.splat(0), b0 = f32x4.splat(0), a1 = f32x4.splat(0), b1 = f32x4.splat(0);
      let a2 = f32x4.splat(0), b2 = f32x4.splat(0), a3 = f32x4.splat(0), b3 = f32x4.splat(0);
      for (; right < end; right += 32) {
        const near = v128.load(right), far = v128.load(right, 16);
        let value = v128.load_splat<f32>(left);
        a0 = f32x4.add(a0, f32x4.mul(value, near));
        b0 = f32x4.add(b0, f32x4.mul(value, far));
        value = v128.load_splat<f32>(left + stride);
        a1 = f32x4.add(a1, f32x4.mul(value, near));
        b1 = f32x4.add(b1, f32x4.mul(value, far));
        value = v128.load_splat<f32>(left + 2 * stride);
        a2 = f32x4.add(a2, f32x4.mul(value, near));
        b2 = f32x4.add(b2, f32x4.mul(value, far));
        value = v128.load_splat<f32>(left + 3 * stride);
        a3 = f32x4.add(a3, f32x4.mul(value, near));
        b3 = f32x4.add(b3, f32x4.mul(value, far));
        left += 4;
      }
      const to = out + column;
      v128.store(to, a0);
      v128.store(to, b0, 16);
      v128.store(to + across, a1);
      v128.store(to + across, b1, 16);
      v128.store(to + 2 * across, a2);
      v128.store(to + 2 * across, b2, 16);
      v128.store(to + 3 * across, a3);
      v128.store(to + 3 * across, b3, 16);
    }
    a += 4 * stride;
    out += 4 * across;
  }
}
