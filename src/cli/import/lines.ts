// Lines of a file, a pipe or stdin, in bounded memory however long the file or a line of it is.
//
// A line ends with LF or CRLF; empty ones are skipped but counted; a byte order mark at the start is no text.

import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { fileFault } from '../errors.js';

/** One line that is not empty. */
export interface Line {
  /** From 1. */
  readonly number: number;
  /** Without its end; undefined when the line is longer than allowed: what it held is gone. */
  readonly bytes: Uint8Array | undefined;
  /** It is the last one and has no end: whoever wrote the file may not have finished it. */
  readonly isUnended: boolean;
}

export interface LineOptions {
  readonly lineBytesMax: number;
  /** Called with the bytes of each chunk that was read. */
  readonly onRead?: (bytes: number) => void;
  /** Ends the reading. */
  readonly signal?: AbortSignal;
}

const CHUNK_BYTES = 256 * 1024;
const LF = 0x0a;
const CR = 0x0d;
/** JSON's white space; CR and LF are among it, but end lines. */
const BLANKS = new Set([0x20, 0x09, CR]);
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** The lines of a file in batches, one for each chunk read; `-` is stdin. @throws CLI_FILE_UNREADABLE */
export async function* openLines(file: string, options: LineOptions): AsyncGenerator<Line[]> {
  const stream = file === '-' ? process.stdin : createReadStream(file, { highWaterMark: CHUNK_BYTES });
  const stop = (): void => void stream.destroy();
  options.signal?.addEventListener('abort', stop);
  try {
    yield* linesOf(stream, options);
  } catch (error) {
    if (options.signal?.aborted !== true) throw fileFault(file === '-' ? 'stdin' : file, error);
  } finally {
    options.signal?.removeEventListener('abort', stop);
    stream.destroy();
  }
}

/** The lines of a stream of bytes. */
export async function* linesOf(stream: Readable, options: LineOptions): AsyncGenerator<Line[]> {
  const lines = new LineCutter(options.lineBytesMax);
  for await (const chunk of stream) {
    options.onRead?.((chunk as Buffer).length);
    yield lines.cut(chunk as Buffer);
  }
  yield lines.end();
}

class LineCutter {
  readonly #lineBytesMax: number;
  /** The line begun in earlier chunks; dropped when it grows too long, while its length is still counted. */
  #begun: Buffer[] = [];
  #begunBytes = 0;
  #number = 0;

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
  }

  /** The lines that end in this chunk. */
  cut(chunk: Buffer): Line[] {
    const lines: Line[] = [];
    let start = 0;
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, start)) {
      this.#begin(chunk.subarray(start, end));
      this.#finish(lines, false);
      start = end + 1;
    }
    this.#begin(chunk.subarray(start));
    return lines;
  }

  /** The last line, where it has no end. */
  end(): Line[] {
    const lines: Line[] = [];
    if (this.#begunBytes > 0) this.#finish(lines, true);
    return lines;
  }

  #begin(part: Buffer): void {
    if (part.length === 0) return;
    this.#begunBytes += part.length;
    // One more byte than allowed may be the CR of the line's end.
    if (this.#begunBytes > this.#lineBytesMax + 1) this.#begun = [];
    else this.#begun.push(part);
  }

  #finish(lines: Line[], isUnended: boolean): void {
    const isTooLong = this.#begunBytes > this.#lineBytesMax + 1;
    const [first] = this.#begun;
    let bytes = first !== undefined && this.#begun.length === 1 ? first : Buffer.concat(this.#begun);
    this.#begun = [];
    this.#begunBytes = 0;
    this.#number++;
    if (bytes[bytes.length - 1] === CR) bytes = bytes.subarray(0, -1);
    if (this.#number === 1 && bytes.subarray(0, 3).equals(BYTE_ORDER_MARK)) bytes = bytes.subarray(3);
    const number = this.#number;
    if (isTooLong || bytes.length > this.#lineBytesMax) lines.push({ number, bytes: undefined, isUnended });
    else if (bytes.some((byte) => !BLANKS.has(byte))) lines.push({ number, bytes, isUnended });
  }
}
