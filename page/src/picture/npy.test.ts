import { expect, test } from "vitest";
import { readHeader, readNpy } from "./npy";

function npy(header: string, values: readonly number[]): ArrayBuffer {
  const padded = `${header}${" ".repeat((64 - ((10 + header.length + 1) % 64)) % 64)}\n`;
  const bytes = new Uint8Array(10 + padded.length + 4 * values.length);
  bytes.set([0x93, ...Array.from("NUMPY", (each) => each.charCodeAt(0)), 1, 0]);
  new DataView(bytes.buffer).setUint16(8, padded.length, true);
  bytes.set(
    Array.from(padded, (each) => each.charCodeAt(0)),
    10,
  );
  bytes.set(new Uint8Array(Float32Array.from(values).buffer), 10 + padded.length);
  return bytes.buffer;
}

test("an array of float32 is read with its shape", () => {
  const array = readNpy(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }", [3, 4]));
  expect(array.shape).toEqual([1, 2]);
  expect([...array.values]).toEqual([3, 4]);
});

test("a shape of one number, and of none, is read", () => {
  const head = "{'descr': '|u1', 'fortran_order': False, 'shape': ";
  expect(readHeader(new Uint8Array(npy(`${head}(3,), }`, []))).shape).toEqual([3]);
  expect(readHeader(new Uint8Array(npy(`${head}(), }`, []))).shape).toEqual([]);
});

test("what is no .npy file, or of another type, is refused in words", () => {
  expect(() => readHeader(new Uint8Array([1, 2, 3]))).toThrow("This is no .npy file.");
  expect(() =>
    readNpy(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", [])),
  ).toThrow("An array of type <f8 was answered, and <f4 in C order was expected.");
});
