// `stateroom export`: a room's events, one a line, exactly as received, in commit order.
//
// Refused ones are among them: whoever imports the file comes to the same verdicts and the same roots.

import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import type { Reader } from '../../reader/reader.js';
import { examples, globalsOf, withReader } from '../context.js';
import { fileFault } from '../errors.js';
import { counted, note, printJson, writeOut } from '../output.js';

const CHUNK_BYTES = 256 * 1024;
const NEWLINE = 0x0a;
const SPACE = 0x20;

export function addExport(program: Command): void {
  program
    .command('export')
    .description(
      'Writes all stored events of a room, one JSON object a line, exactly as received, in commit order.',
    )
    .argument('<room>', 'room id')
    .option('--out <file>', 'write to a file instead of stdout')
    .addHelpText(
      'after',
      examples(
        ["export '!room:example.org' --out room.jsonl", 'into a file that `import` reads'],
        ["export '!room:example.org' | gzip > room.jsonl.gz", 'into a pipe'],
      ),
    )
    .action(async (roomId: string, { out }: { readonly out?: string }, command: Command) => {
      const globals = globalsOf(command);
      await withReader(globals, async (reader) => {
        const room = reader.room(roomId);
        if (out === undefined) {
          for await (const chunk of chunksOf(reader, roomId)) await writeOut(chunk);
          return;
        }
        try {
          await pipeline(Readable.from(chunksOf(reader, roomId)), createWriteStream(out));
        } catch (error) {
          throw fileFault(out, error);
        }
        if (globals.json) await printJson({ room_id: room.roomId, events: room.events, out });
        else note(`${counted(room.events, 'event')} written to ${out}`);
      });
    });
}

async function* chunksOf(reader: Reader, roomId: string): AsyncGenerator<Buffer> {
  let lines: Uint8Array[] = [];
  let length = 0;
  for await (const [, row] of reader.store.events()) {
    if (row.roomId !== roomId) continue;
    lines.push(oneLine(row.bytes), Uint8Array.of(NEWLINE));
    length += row.bytes.length + 1;
    if (length < CHUNK_BYTES) continue;
    yield Buffer.concat(lines);
    lines = [];
    length = 0;
  }
  yield Buffer.concat(lines);
}

/** JSON that was sent over several lines stands on one: between its tokens a space says the same. */
function oneLine(bytes: Uint8Array): Uint8Array {
  return bytes.includes(NEWLINE) ? bytes.map((byte) => (byte === NEWLINE ? SPACE : byte)) : bytes;
}
