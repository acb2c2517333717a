// Event ids from a file or stdin: one a line.

import { openLines } from './import/lines.js';
import { UsageError } from './errors.js';

/** Longer than any id that there can be. */
const ID_BYTES_MAX = 1024;

/** The ids in a file, in its order; empty lines do not count. `-` is stdin. @throws CLI_FILE_UNREADABLE, CLI_USAGE */
export async function* idsIn(file: string): AsyncGenerator<string> {
  for await (const batch of openLines(file, { lineBytesMax: ID_BYTES_MAX })) {
    for (const { number, bytes } of batch) {
      if (bytes === undefined)
        throw new UsageError(`${file}:${number}: this is no event id; one is expected a line`);
      const id = Buffer.from(bytes).toString('utf8').trim();
      if (id !== '') yield id;
    }
  }
}
