// A large public room of thousands of servers, in the data folder of a server that is in it.
//
// None of those servers runs. Both who gives the room and who joins it know that they fail, and have their keys:
// asking thousands of servers, or waiting for them, would measure those.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Engine, openEngine } from '../../src/engine/engine.js';
import { serverOf, type ServerName, type UserId } from '../../src/event/ids.js';
import { type JsonObject, own, parseJson } from '../../src/event/json.js';
import { KeyStore } from '../../src/federation/identity/key-store.js';
import { SERVERS_ROOM } from '../../src/federation/parts.js';
import { fromBase64 } from '../../src/lib/base64.js';
import type { GeneratedRoom, PublicKeyFile } from '../../tools/generate/generate-room.js';

const AT_ONCE = 200;
const DAY_MS = 86_400_000;

/** The room on disk, in the folder of a server that is in it. */
export interface Resident {
  readonly serverName: string;
  readonly roomId: string;
  readonly folder: string;
}

/** Takes the room into the data folder of a server that has a member in it. */
export async function importRoom(room: GeneratedRoom, folder: string): Promise<Resident> {
  return inFolder(folder, async (engine) => {
    let serverName = '';
    let roomId = '';
    let batch: Promise<unknown>[] = [];
    for (const { line } of room.events()) {
      const event = parseJson(Buffer.from(line)) as JsonObject;
      // Nothing can be taken in of a room whose version is not known.
      if (roomId === '') {
        roomId = own(event, 'room_id') as string;
        await engine.receive(event);
        continue;
      }
      // The creator's own join comes first.
      if (serverName === '') serverName = serverOf(own(event, 'sender') as UserId);
      batch.push(engine.receive(event));
      if (batch.length < AT_ONCE) continue;
      await Promise.all(batch);
      batch = [];
    }
    await Promise.all(batch);
    await leaveAlone(engine, Object.keys(room.publicKeys));
    return { serverName, roomId, folder };
  });
}

/** Gives a server that has not run yet the keys of others, which it leaves alone. */
export async function keepKeys(publicKeys: PublicKeyFile, running: string, folder: string): Promise<void> {
  await inFolder(folder, async (engine) => {
    const store = new KeyStore(engine);
    const now = Date.now();
    const kept = Object.entries(publicKeys).map(([serverName, keys]) => {
      const told = Object.entries(keys).flatMap(([keyId, text]) => {
        const publicKey = fromBase64(text);
        return publicKey === undefined ? [] : [{ keyId, publicKey, expiredTs: undefined }];
      });
      const answer = {
        serverName: serverName as ServerName,
        keys: told,
        validUntilTs: now + DAY_MS,
        json: {},
      };
      return store.keep(answer, now, true);
    });
    await Promise.all(kept);
    const gone = Object.keys(publicKeys).filter((serverName) => serverName !== running);
    await leaveAlone(engine, gone);
  });
}

/** Does something in the store of a server that does not run. */
export async function inFolder<T>(folder: string, work: (engine: Engine) => Promise<T>): Promise<T> {
  await mkdir(folder, { recursive: true });
  const engine = await openEngine({ path: join(folder, 'data'), durability: 'os' });
  try {
    return await work(engine);
  } finally {
    await engine.close();
  }
}

/** The room's other servers are none: who is in it knows that they fail, and does not try to tell them anything. */
async function leaveAlone(engine: Engine, servers: readonly string[]): Promise<void> {
  const now = Date.now();
  const content = { failing_since: now - DAY_MS, failures: 16, retry_at: now + DAY_MS };
  const type = 'stateroom.destination';
  await engine.internal.write(servers.map((stateKey) => ({ roomId: SERVERS_ROOM, type, stateKey, content })));
}
