/**
 * A hash of 64 bits in two halves: numbers of JavaScript do not hold 64 bits, and a BigInt is allocated for each step. The halves are signed, so
 * that V8 keeps them in the object itself.
 */
export class Hash64 {
  high: number;
  low: number;

  constructor(high: number, low: number) {
    this.high = high | 0;
    this.low = low | 0;
  }

  set({ high, low }: Hash64): void {
    this.high = high;
    this.low = low;
  }

  /** FNV-1a (RFC 9923) over the bytes of the text in UTF-8, from where this hash stands. */
  addText(text: string): void {
    for (let index = 0; index < text.length; index += 1) {
      const point = text.codePointAt(index) ?? 0;
      if (point < 0x80) {
        this.#addByte(point);
        continue;
      }
      if (point < 0x800) {
        this.#addByte(0xc0 | (point >> 6));
      } else {
        if (point < 0x10000) {
          this.#addByte(0xe0 | (point >> 12));
        } else {
          index += 1; // it is two units of the text
          this.#addByte(0xf0 | (point >> 18));
          this.#addByte(0x80 | ((point >> 12) & 0x3f));
        }
        this.#addByte(0x80 | ((point >> 6) & 0x3f));
      }
      this.#addByte(0x80 | (point & 0x3f));
    }
  }

  /** Xor with the byte, then times the prime 2^40 + 0x1b3. */
  #addByte(byte: number): void {
    const low = this.low ^ byte;
    const lower = (low & 0xffff) * 0x1b3;
    const upper = (low >>> 16) * 0x1b3 + (lower >>> 16);
    this.high = (Math.imul(this.high, 0x1b3) + (low << 8) + (upper >>> 16)) | 0;
    this.low = (upper << 16) | (lower & 0xffff);
  }

  /** The finalizer of MurmurHash3 (`fmix64`): each bit of the result depends on every bit of what it was. */
  mix(): void {
    this.low ^= this.high >>> 1; // of 64 bits: ^= >> 33
    this.#multiply(0xff51afd7, 0xed558ccd);
    this.low ^= this.high >>> 1;
    this.#multiply(0xc4ceb9fe, 0x1a85ec53);
    this.low ^= this.high >>> 1;
  }

  #multiply(high: number, low: number): void {
    const own = this.low >>> 0;
    // The upper half of low times low, over its two 16-bit parts: each sum is below 2^53, so it is exact.
    const middle = own * (low >>> 16) + Math.floor((own * (low & 0xffff)) / 0x10000);
    this.high = (Math.imul(this.high, low) + Math.imul(this.low, high) + Math.floor(middle / 0x10000)) | 0;
    this.low = Math.imul(this.low, low);
  }

  /** The upper 52 bits, and a half, as a number between 0 and 1, neither of them included: of 53 bits the largest would be rounded to 1. */
  toFraction(): number {
    return ((this.high >>> 0) * 2 ** 20 + (this.low >>> 12) + 0.5) / 2 ** 52;
  }
}

/** That of no text: the offset basis of FNV-1a. */
export function emptyHash(): Hash64 {
  return new Hash64(0xcbf29ce4, 0x84222325);
}
