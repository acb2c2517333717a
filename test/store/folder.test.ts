// A store in a folder: what it refuses to open, who else may hold it, and a disk that is full.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ClassicLevel } from 'classic-level';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Engine, openEngine, openEngineOn } from '../../src/engine/engine.js';
import { fsck } from '../../src/engine/maintenance/fsck.js';
import type { EventId } from '../../src/event/ids.js';
import { createSigningKey } from '../../src/event/signing.js';
import { SCHEMA_VERSION, Store } from '../../src/store/store.js';
import { codeOf, fillDiskAfter, importRooms } from '../engine/support/stores.js';
import { loadRoom } from '../fixtures.js';

const test = suite('store/folder');

async function inFolder(work: (path: string) => Promise<void>): Promise<void> {
  const path = await mkdtemp(join(tmpdir(), 'stateroom-folder-'));
  try {
    await work(path);
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

const at = (path: string, create: boolean) => ({ kind: 'folder', path, create }) as const;

test('a schema that this code does not know is refused', () =>
  inFolder(async (path) => {
    const store = await Store.open(at(path, true));
    await store.writeMeta('schema', 99);
    await store.close();
    assert.is(await codeOf(Store.open(at(path, true))), 'STORE_SCHEMA_UNKNOWN');
    assert.is(await codeOf(Store.open(at(path, false))), 'STORE_SCHEMA_UNKNOWN');
  }));

for (const schema of [2, 3]) {
  test(`a store of schema ${schema}, whose rows are the same, is taken up to today's when it is opened`, () =>
    inFolder(async (path) => {
      const store = await Store.open(at(path, true));
      await store.writeMeta('schema', schema);
      await store.close();
      const again = await Store.open(at(path, false));
      assert.is(again.meta('schema'), SCHEMA_VERSION);
      await again.close();
    }));
}

test('a store without the index of redacted events gets it when it is opened', () =>
  inFolder(async (path) => {
    const engine = await openEngine({
      path,
      serverName: 'example.org',
      signingKey: createSigningKey('ed25519:1', new Uint8Array(32).fill(7)),
    });
    const sender = '@alice:example.org';
    const { roomId } = await engine.createRoom(sender);
    await engine.send(roomId, {
      type: 'm.room.member',
      sender,
      stateKey: sender,
      content: { membership: 'join' },
    });
    const [kept, redacted] = [await sayIn(engine, roomId, sender), await sayIn(engine, roomId, sender)];
    const content = { redacts: redacted };
    await engine.send(roomId, { type: 'm.room.redaction', sender, content, redacts: redacted });
    await engine.store.clear('redacted');
    await engine.store.writeMeta('schema', 1);
    await engine.close();
    const store = await Store.open(at(path, false));
    const number = store.room(roomId)?.number ?? 0;
    assert.is(store.meta('schema'), SCHEMA_VERSION);
    assert.is(store.redacted.isClaimed(number, redacted), true);
    assert.is(store.redacted.isClaimed(number, kept), false);
    assert.equal((await fsck(store)).problems, []);
    await store.close();
  }));

async function sayIn(engine: Engine, roomId: string, sender: string): Promise<EventId> {
  const { eventId } = await engine.send(roomId, {
    type: 'm.room.message',
    sender,
    content: { body: 'hello' },
  });
  return eventId;
}

test('a database that somebody else made is refused and left as it is', () =>
  inFolder(async (path) => {
    const foreign = new ClassicLevel(path);
    await foreign.put('key', 'value');
    await foreign.close();
    assert.is(await codeOf(Store.open(at(path, true))), 'STORE_SCHEMA_UNKNOWN');
    const again = new ClassicLevel(path);
    assert.is(await again.get('key'), 'value');
    await again.close();
  }));

test('a folder with other files in it is refused', () =>
  inFolder(async (path) => {
    await writeFile(join(path, 'letter.txt'), 'dear');
    assert.is(await codeOf(Store.open(at(path, true))), 'STORE_NOT_OURS');
    assert.is(await codeOf(Store.open(at(path, false))), 'STORE_MISSING');
  }));

test('a store that is not there is made only where that is allowed', () =>
  inFolder(async (path) => {
    const below = join(path, 'a', 'b');
    assert.is(await codeOf(Store.open(at(below, false))), 'STORE_MISSING');
    const store = await Store.open(at(below, true));
    await store.close();
    await (await Store.open(at(below, false))).close();
  }));

test('a store that another process holds is locked, and free when that ends', () =>
  inFolder(async (path) => {
    await (await Store.open(at(path, true))).close();
    const child = spawn(
      process.execPath,
      [fileURLToPath(new URL('./support/holder-child.js', import.meta.url)), path],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    );
    await once(child.stdout, 'data');
    assert.is(await codeOf(Store.open(at(path, true))), 'STORE_LOCKED');
    assert.is(await codeOf(openEngine({ path })), 'STORE_LOCKED');
    child.stdin.end();
    await once(child, 'exit');
    await (await Store.open(at(path, false))).close();
  }));

test('a folder is one store, by whatever path it is opened', () =>
  inFolder(async (path) => {
    await mkdir(join(path, 'real'));
    await symlink(join(path, 'real'), join(path, 'link'));
    const store = await Store.open(at(join(path, 'link'), true));
    await store.writeMeta('some', 1);
    const same = await Store.open(at(join(path, 'real'), false));
    assert.is(same.path, store.path);
    assert.is(same.meta('some'), 1);
    await same.close();
    await store.close();
  }));

test('what was acknowledged before the disk was full is there after it', () =>
  inFolder(async (path) => {
    const store = await Store.open(at(path, true));
    const engine = await openEngineOn(store);
    fillDiskAfter(store, 30);
    const { lines, rules } = loadRoom('small-v11');
    const acknowledged: EventId[] = [];
    const failures = new Set<string>();
    for (const line of lines) {
      const receiving = engine.receive(line, { roomVersion: rules.version });
      receiving
        .then(({ eventId }) => eventId !== undefined && acknowledged.push(eventId))
        .catch(() => undefined);
      const code = await codeOf(receiving);
      if (code !== 'nothing was thrown') failures.add(code);
    }
    assert.equal([...failures], ['STORE_WRITE_FAILED']);
    assert.is(acknowledged.length, 30);
    // Reading goes on.
    assert.ok(engine.stateAt(acknowledged.at(-1) ?? '').count() > 0);
    assert.is(await codeOf(engine.close()), 'nothing was thrown');
    await checkAcknowledged(path, acknowledged);
  }));

test('a disk that is really full loses nothing that was acknowledged', () =>
  inFolder(async (path) => {
    if (!mountSmall(path)) {
      // Only root may mount; elsewhere the simulated full disk above has to do.
      assert.ok(true, 'a file system of 4 MB cannot be mounted here');
      return;
    }
    try {
      const folder = join(path, 'data');
      const engine = await openEngine({ path: folder });
      const ballast = Buffer.alloc(3 * 1024 * 1024 + 512 * 1024);
      await writeFile(join(path, 'ballast'), ballast);
      const { lines, rules } = loadRoom('crowd-v11');
      const acknowledged: EventId[] = [];
      let failure = 'nothing was thrown';
      for (const line of lines) {
        const receiving = engine.receive(line, { roomVersion: rules.version });
        receiving
          .then(({ eventId }) => eventId !== undefined && acknowledged.push(eventId))
          .catch(() => undefined);
        failure = await codeOf(receiving);
        if (failure !== 'nothing was thrown') break;
      }
      assert.is(failure, 'STORE_WRITE_FAILED');
      assert.ok(acknowledged.length > 20, `${acknowledged.length} acknowledged`);
      await engine.close();
      await rm(join(path, 'ballast'));
      await checkAcknowledged(folder, acknowledged);
      const again = await openEngine({ path: folder });
      await importRooms(again, ['small-v11']);
      assert.equal((await fsck(again.store)).problems, []);
      await again.close();
    } finally {
      execFileSync('umount', ['-l', path]);
    }
  }));

async function checkAcknowledged(path: string, acknowledged: readonly EventId[]): Promise<void> {
  const store = await Store.open(at(path, false));
  assert.equal(
    acknowledged.filter((id) => store.seqOf(id) === undefined),
    [],
  );
  assert.equal((await fsck(store)).problems, []);
  await store.close();
}

function mountSmall(path: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', path], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

test('a store that was closed has no log that the next start would have to read', () =>
  inFolder(async (path) => {
    const store = await Store.open(at(path, true));
    await store.writeMeta('note', 'x'.repeat(100_000));
    await store.close();
    const logs = (await readdir(path)).filter((name) => name.endsWith('.log'));
    const sizes = await Promise.all(logs.map(async (name) => (await stat(join(path, name))).size));
    assert.is(Math.max(...sizes), 0);
    const again = await Store.open(at(path, false));
    assert.is(again.meta('note'), 'x'.repeat(100_000));
    await again.close();
  }));

test.run();
