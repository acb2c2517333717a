// `stateroom demo`: a short guided tour on a room that is made for it, in a folder that is gone afterwards.

import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { type Engine, openEngine } from '../../engine/engine.js';
import { examples, globalsOf } from '../context.js';
import { EXIT } from '../errors.js';
import { importFiles, noticeRooms } from '../import/importer.js';
import { readKeys } from '../import/key-file.js';
import { RoomVersions } from '../import/room-versions.js';
import { colors, counted, note, printJson, sizeText, writeOut } from '../output.js';
import { checkProof, makeProof } from '../proof-file.js';
import { changesBetween, changesText } from './diff.js';

/** A room of a size that shows something and takes a second or two. */
const ROOM = { members: 120, servers: 4, forks: 6, messages: 300, roomVersion: '12', seed: 'demo' } as const;
const CHANGES_SHOWN_MAX = 6;

export function addDemo(program: Command): void {
  program
    .command('demo')
    .description(
      'Makes a room, imports it and asks it a few things, with a word on each. Leaves nothing behind.',
    )
    .addHelpText('after', examples(['demo', 'takes a few seconds']))
    .action(async (_options: object, command: Command) => {
      const { json } = globalsOf(command);
      const folder = await mkdtemp(join(tmpdir(), 'stateroom-demo-'));
      const stop = (): void => {
        rmSync(folder, { recursive: true, force: true });
        process.exit(EXIT.failed);
      };
      process.once('SIGINT', stop);
      try {
        const tour = new Tour(json);
        await walk(folder, tour);
        if (json) await printJson(tour.steps);
      } finally {
        process.removeListener('SIGINT', stop);
        await rm(folder, { recursive: true, force: true });
      }
    });
}

/** Says what is done, and shows what came of it. */
class Tour {
  readonly steps: Array<{ readonly step: string; readonly command: string; readonly result: string }> = [];
  readonly #isQuiet: boolean;

  constructor(isQuiet: boolean) {
    this.#isQuiet = isQuiet;
  }

  async show(step: string, command: string, result: string): Promise<void> {
    this.steps.push({ step, command, result });
    if (this.#isQuiet) return;
    const shown = result.split('\n').map((line) => `   ${line}`);
    await writeOut(
      `${colors.bold(`${this.steps.length}. ${step}`)}\n   ${colors.dim(`$ stateroom ${command}`)}\n${shown.join('\n')}\n\n`,
    );
  }
}

async function walk(folder: string, tour: Tour): Promise<void> {
  const out = join(folder, 'room.jsonl');
  const keysFile = join(folder, 'keys.json');
  const { writeRoom } = await import('../../../tools/generate/generate-room.js');
  const made = await writeRoom(ROOM, { out, keys: keysFile });
  await tour.show(
    'A room to play with: signed events of several servers, with forks where servers spoke at the same time.',
    `generate --members ${ROOM.members} --servers ${ROOM.servers} --forks ${ROOM.forks} --out room.jsonl --keys keys.json`,
    `${counted(made.eventCount, 'event')}, room version ${made.roomVersion}`,
  );
  const keys = await readKeys(keysFile);
  const engine = await openEngine({ path: join(folder, 'data'), keys });
  try {
    await takeIn(engine, out, new RoomVersions(keys, undefined), tour);
    await ask(engine, tour);
  } finally {
    await engine.close();
  }
  note(colors.dim('Nothing of this is left on your disk. `stateroom --help` shows all commands.'));
}

async function takeIn(engine: Engine, path: string, versions: RoomVersions, tour: Tour): Promise<void> {
  const options = { files: [{ path, isRegular: true }], versions };
  const started = Date.now();
  await noticeRooms(options);
  const { counts } = await importFiles(engine, options);
  const { nodeBytes, stateEvents } = engine.store.counters();
  await tour.show(
    'Every event is checked: form, hash, signatures, authorisation; then it is stored with the root of the state after it.',
    'import room.jsonl --keys keys.json',
    `${counts.accepted} accepted, ${counts.rejected} rejected, ${counts.soft_failed} soft failed, in ${((Date.now() - started) / 1000).toFixed(1)} s\n` +
      `every version of the state is kept: ${sizeText(nodeBytes / Math.max(1, stateEvents))} a state event`,
  );
}

async function ask(engine: Engine, tour: Tour): Promise<void> {
  const { reader, store } = engine;
  const [room] = await all(reader.rooms());
  const old = store.event(Math.floor(store.counters().seq / 4));
  if (room === undefined || old === undefined)
    throw new Error('invariant broken: the demo has imported a room');

  const then = reader.stateAt(old.eventId);
  const now = reader.currentState(room.roomId);
  await tour.show(
    'The state at an old event is a root: 32 bytes that stand for all of it. Reading it takes a few nodes of a tree.',
    `count '${old.eventId}'`,
    `then: ${then.root}\n      ${counted(then.count(), 'entry', 'entries')}, ${then.joined} joined\n` +
      `now:  ${now.root}\n      ${counted(now.count(), 'entry', 'entries')}, ${now.joined} joined`,
  );
  const changes = await changesBetween(reader, old.eventId, room.roomId);
  const more = changes.length > CHANGES_SHOWN_MAX ? `\n… and ${changes.length - CHANGES_SHOWN_MAX} more` : '';
  await tour.show(
    'What changed since: two trees are compared only where their hashes differ.',
    `diff '${old.eventId}' '${room.roomId}'`,
    `${changesText(changes.slice(0, CHANGES_SHOWN_MAX))}${more}`,
  );
  const [member] = now.members({ membership: 'join' });
  if (member === undefined) throw new Error('invariant broken: the demo room has members');
  const proof = makeProof(reader, now, room.roomId, 'm.room.member', member.userId);
  const bytes = Buffer.from(JSON.stringify(proof));
  const proven = checkProof(bytes);
  await tour.show(
    'A proof that somebody is a member now. Who trusts the root needs nothing else: no store, no other event.',
    `prove '${room.roomId}' m.room.member ${member.userId} | stateroom verify -`,
    `${member.userId} → ${proven.event_id ?? 'not set'}\nproven by ${proof.nodes.length} nodes in ${sizeText(bytes.length)}`,
  );
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
