/** Reads NumPy's .npy format, as the service answers an end point in it. */

export interface NpyHeader {
  /** NumPy's name of the type, such as "<f4". */
  readonly type: string;
  readonly shape: readonly number[];
  readonly fortranOrder: boolean;
  /** Where the values begin, in bytes. */
  readonly start: number;
}

export interface NpyArray {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

const MAGIC = "\u0093NUMPY";
/** A header is padded to a multiple of 64 bytes; those of real arrays take one or two. */
export const HEADER_BYTES = 4096;

export function isNpy(bytes: Uint8Array): boolean {
  return String.fromCharCode(...bytes.subarray(0, MAGIC.length)) === MAGIC;
}

/** Throws Error if the bytes do not begin with the header of an .npy file. */
export function readHeader(bytes: Uint8Array): NpyHeader {
  if (!isNpy(bytes) || bytes.length < 12) throw new Error("This is no .npy file.");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isFirstVersion = bytes[6] === 1;
  const length = isFirstVersion ? view.getUint16(8, true) : view.getUint32(8, true);
  const textStart = isFirstVersion ? 10 : 12;
  const text = new TextDecoder("latin1").decode(bytes.subarray(textStart, textStart + length));
  const type = /'descr':\s*'([^']*)'/.exec(text)?.[1];
  const shape = /'shape':\s*\(([^)]*)\)/.exec(text)?.[1];
  if (type === undefined || shape === undefined) {
    throw new Error("The header of the .npy file names no type or no shape.");
  }
  return {
    type,
    shape: shape
      .split(",")
      .filter((size) => size.trim() !== "")
      .map(Number),
    fortranOrder: /'fortran_order':\s*True/.test(text),
    start: textStart + length,
  };
}

/** Returns an array of float32 in C order without copying it. Throws Error for any other array. */
export function readNpy(buffer: ArrayBuffer): NpyArray {
  const { type, shape, fortranOrder, start } = readHeader(new Uint8Array(buffer));
  if (type !== "<f4" || fortranOrder) {
    throw new Error(`An array of type ${type} was answered, and <f4 in C order was expected.`);
  }
  const count = shape.reduce((product, size) => product * size, 1);
  return { shape, values: new Float32Array(buffer, start, count) };
}
