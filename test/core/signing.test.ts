import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Engine, openEngine } from '../../src/engine/engine.js';
import { fsck } from '../../src/engine/maintenance/fsck.js';
import type { ServerName } from '../../src/event/ids.js';
import { parseJson, type JsonObject } from '../../src/event/json.js';
import { createSigningKey, type SigningKey, signEvent } from '../../src/event/signing.js';

const test = suite('events whose signatures are being made');

const SERVER = 'example.org' as ServerName;
const ALICE = '@alice:example.org';
const KEY = createSigningKey('ed25519:1', new Uint8Array(32).fill(5));

/** A key whose signatures are made when they are told to be. */
class SlowKey implements SigningKey {
  readonly keyId = KEY.keyId;
  readonly publicKey = KEY.publicKey;
  isSlow = false;
  readonly #waiting: (() => void)[] = [];
  #asked: (() => void) | undefined;

  sign(message: Uint8Array): Uint8Array {
    return KEY.sign(message);
  }

  async signAsync(message: Uint8Array): Promise<Uint8Array> {
    if (this.isSlow) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
        this.#asked?.();
      });
    }
    return KEY.sign(message);
  }

  /** Resolves when so many signatures are waited for. */
  async asked(count: number): Promise<void> {
    while (this.#waiting.length < count) await new Promise<void>((resolve) => (this.#asked = resolve));
  }

  /** Makes those that are waited for, the newest first. */
  make(): void {
    this.isSlow = false;
    for (const resolve of this.#waiting.splice(0).reverse()) resolve();
  }
}

async function begin(key: SigningKey): Promise<{ engine: Engine; roomId: string }> {
  const engine = await openEngine({ serverName: SERVER, signingKey: key });
  const { roomId } = await engine.createRoom(ALICE);
  const content = { membership: 'join' };
  await engine.send(roomId, { type: 'm.room.member', sender: ALICE, stateKey: ALICE, content });
  return { engine, roomId };
}

const say = (engine: Engine, roomId: string, body: string) =>
  engine.send(roomId, { type: 'm.room.message', sender: ALICE, content: { body } });

test('they follow on one another at once, and none is answered or shown before all of its group are signed', async () => {
  const key = new SlowKey();
  const { engine, roomId } = await begin(key);
  const before = engine.forwardExtremities(roomId);
  key.isSlow = true;
  let answered = 0;
  const sends = ['a', 'b', 'c'].map((body) => say(engine, roomId, body).finally(() => answered++));
  await key.asked(3);
  assert.is(answered, 0);
  assert.equal(engine.forwardExtremities(roomId), before);
  key.make();
  const [a, b, c] = await Promise.all(sends);
  assert.equal(b?.prevEvents, [a?.eventId]);
  assert.equal(c?.prevEvents, [b?.eventId]);
  for (const made of [a, b, c]) {
    assert.ok(made);
    const row = engine.store.event(engine.store.seqOf(made.eventId) ?? 0);
    const stored = parseJson(row?.bytes ?? new Uint8Array()) as JsonObject;
    assert.equal(stored, signEvent(stored, made.rules, SERVER, KEY), 'what is stored is signed');
    assert.equal(made.json, stored);
  }
  await engine.core.close();
  assert.equal((await fsck(engine.store)).problems, []);
});

test('where one cannot be made nothing that was decided since is stored, and senders are told', async () => {
  const key = new SlowKey();
  const { engine, roomId } = await begin(key);
  const events = engine.store.counters().events;
  Object.assign(key, { signAsync: () => Promise.reject(new Error('the key is gone')) });
  const sends = await Promise.allSettled([say(engine, roomId, 'a'), say(engine, roomId, 'b')]);
  for (const sent of sends) {
    assert.is(sent.status, 'rejected');
    assert.match(String(sent.status === 'rejected' && sent.reason), /the key is gone/);
  }
  assert.is(engine.store.counters().events, events);
});

test.run();
