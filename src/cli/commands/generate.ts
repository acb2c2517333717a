// `stateroom generate`: a whole signed room, for trying things on. Same options and seed, same bytes.

import { type Command, InvalidArgumentError, Option } from 'commander';
import type { GenerateOptions } from '../../../tools/generate/options.js';
import { StateroomError } from '../../lib/errors.js';
import { examples, globalsOf } from '../context.js';
import { fileFault } from '../errors.js';
import { answer, counted } from '../output.js';
import { newProgress } from '../progress.js';

interface Options extends GenerateOptions {
  readonly out: string;
  readonly keys: string;
  readonly signingKey?: string;
}

export function addGenerate(program: Command): void {
  program
    .command('generate')
    .description(
      'Makes a signed room with valid hashes, ids and history, and the public keys of its servers. The same options give the same bytes.',
    )
    .addOption(
      new Option('--preset <name>', 'hq: the shape of Matrix HQ; small: 20 members, 2 forks').choices([
        'hq',
        'small',
      ]),
    )
    .option('--members <n>', 'users joined at the end', wholeNumber)
    .option('--servers <n>', 'servers that take part', wholeNumber)
    .option('--room-version <version>', '1 to 12')
    .option('--forks <n>', 'how often the room splits and comes together again', wholeNumber)
    .option('--messages <n>', 'messages between the state events', wholeNumber)
    .option('--seed <text>', 'another seed, another room')
    .requiredOption('--out <file>', 'where the events go, one JSON object a line')
    .requiredOption('--keys <file>', 'where the public keys go')
    .option('--signing-key <file>', "where the founding server's signing key goes, for a server to run as it")
    .addHelpText(
      'after',
      examples(
        ['generate --preset small --out room.jsonl --keys keys.json', 'a room of 20'],
        ['generate --preset hq --seed 7 --out hq.jsonl --keys keys.json', 'some 37,000 events'],
        ['generate --members 500 --forks 20 --out room.jsonl --keys keys.json', 'a room of your own'],
      ),
    )
    .action(async (options: Options, command: Command) => {
      const { writeRoom } = await import('../../../tools/generate/generate-room.js');
      const { out, keys, signingKey, ...wanted } = options;
      const progress = await newProgress('generating');
      try {
        const room = await writeRoom(wanted, { out, keys, signingKey }, (written, total) =>
          progress.update(written, total),
        );
        const servers = Object.keys(room.publicKeys).length;
        const report = {
          room_version: room.roomVersion,
          events: room.eventCount,
          servers,
          founder: room.founder.serverName,
          out,
          keys,
        };
        await answer(globalsOf(command), report, () => {
          const what = `${counted(report.events, 'event')} of a version ${report.room_version} room on ${counted(servers, 'server')}`;
          const key = signingKey === undefined ? '' : ` The key of ${report.founder} is in ${signingKey}.`;
          return `${what} written to ${out}, public keys to ${keys}.${key}\nNext: stateroom import ${out} --keys ${keys}`;
        });
      } catch (error) {
        throw error instanceof StateroomError ? error : fileFault(fileOf(error) ?? out, error);
      } finally {
        progress.stop();
      }
    });
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

/** The file that a fault of the file system names. */
function fileOf(error: unknown): string | undefined {
  return error instanceof Error && 'path' in error && typeof error.path === 'string' ? error.path : undefined;
}
