// Rows of a range, a few at first and more at a time the more are wanted.
//
// Most ranges here hold a handful of rows, or are left after some. A database asked to iterate reads up to a
// thousand ahead once the first row is taken, and LevelDB's binding sets aside 64 KB for them before it knows
// whether there are any; that memory goes back only when the garbage collector finds the iterator.

/** Rows taken first. */
const FIRST_ROWS = 16;
/** So many times as many each time after that. */
const GROWTH = 8;
const CHUNK_ROWS_MAX = 1_000;

/** An iterator of abstract-level, over entries, keys or values. */
export interface ChunkedIterator<Row> {
  nextv(size: number): Promise<Row[]>;
  close(): Promise<void>;
}

/** Each row of an iterator, which is closed in the end: also where whoever takes them wants no more. */
export async function* inChunks<Row>(iterator: ChunkedIterator<Row>): AsyncGenerator<Row> {
  try {
    for (let size = FIRST_ROWS; ; size = Math.min(size * GROWTH, CHUNK_ROWS_MAX)) {
      const rows = await iterator.nextv(size);
      if (rows.length === 0) return;
      yield* rows;
    }
  } finally {
    await iterator.close();
  }
}
