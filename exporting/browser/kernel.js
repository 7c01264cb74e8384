// Memory for matrices of float32 and their product: in WebAssembly SIMD where the browser has it, else in JavaScript.

"use strict";

const PAGE = 65536; // bytes of a page of WebAssembly memory
const padded = (size) => (size + 7) & ~7; // rows of matrices lie a multiple of 8 numbers apart

// Lays out matrices first (`place`), then opens the memory for all of them.
class Heap {
  constructor() {
    this.size = 16; // in numbers
  }

  // A matrix: where it begins, in numbers, and how far its rows lie apart. Products write four rows at a time.
  place(rows, columns) {
    const matrix = { at: this.size, rows, columns, stride: padded(columns) };
    this.size += ((rows + 3) & ~3) * matrix.stride;
    return matrix;
  }

  // A matrix as the right side of a product: panels of 8 columns, which lie row by row one behind the other.
  placePanels(rows, columns) {
    const matrix = { at: this.size, rows, columns, stride: padded(columns) };
    this.size += rows * matrix.stride;
    return matrix;
  }

  // `code` is the module of kernel.ts, or null for plain JavaScript.
  open(code) {
    const bytes = 4 * this.size;
    if (code) {
      const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE) });
      this.numbers = new Float32Array(memory.buffer);
      this.product = new WebAssembly.Instance(code, { env: { memory } }).exports.multiply;
    } else {
      this.numbers = new Float32Array(this.size);
      this.product = plainProduct(this.numbers);
    }
  }

  // out = a b for the first `rows` rows of a.
  multiply(out, a, b, rows) {
    this.product(4 * out.at, 4 * a.at, 4 * b.at, (rows + 3) & ~3, b.rows, b.stride);
  }

  // Where the entry of a row and column lies in panels.
  static inPanels(matrix, row, column) {
    return matrix.at + ((column >> 3) * matrix.rows + row) * 8 + (column & 7);
  }
}

// What kernel.ts computes, bit for bit.
function plainProduct(numbers) {
  const r = Math.fround;
  return (out, a, b, rows, inner, columns) => {
    const stride = padded(inner);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column += 8) {
        let [s0, s1, s2, s3, s4, s5, s6, s7] = [0, 0, 0, 0, 0, 0, 0, 0];
        let right = b / 4 + column * inner;
        const left = a / 4 + row * stride;
        for (let k = left; k < left + inner; k++, right += 8) {
          const value = numbers[k];
          s0 = r(s0 + r(value * numbers[right]));
          s1 = r(s1 + r(value * numbers[right + 1]));
          s2 = r(s2 + r(value * numbers[right + 2]));
          s3 = r(s3 + r(value * numbers[right + 3]));
          s4 = r(s4 + r(value * numbers[right + 4]));
          s5 = r(s5 + r(value * numbers[right + 5]));
          s6 = r(s6 + r(value * numbers[right + 6]));
          s7 = r(s7 + r(value * numbers[right + 7]));
        }
        numbers.set([s0, s1, s2, s3, s4, s5, s6, s7], out / 4 + row * columns + column);
      }
    }
  };
}
