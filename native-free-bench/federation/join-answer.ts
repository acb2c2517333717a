// What a resident answers to who joins a room, asked by hand: how long it takes, and every signature in it.

import type { EventId } from '../../src/event/ids.js';
import { isArray, isObject, type JsonObject, own, parseJson } from '../../src/event/json.js';
import { receiveJson } from '../../src/event/receive.js';
import { type RoomVersionRules, rulesOf } from '../../src/event/rules.js';
import { signEvent } from '../../src/event/signing.js';
import { toBase64 } from '../../src/lib/base64.js';
import { assert } from '../../src/lib/errors.js';
import type { GeneratedRoom, PublicKeyFile } from '../../tools/generate/generate-room.js';
import { OriginServer, type Place } from '../../tools/peers/origin-server.js';
import { signaturesOf } from '../import-rate.js';
import type { SignedMessage } from '../import-verify.js';
import type { TestNetwork } from './test-network.js';

/** The answer to a full join. */
export interface AskedAnswer {
  readonly messages: readonly SignedMessage[];
  readonly answerMs: number;
  readonly bytes: number;
  /** The keys of who asked, and is in the room now. */
  readonly publicKeys: PublicKeyFile;
}

/** Joins by hand, to see what the answer holds and how long it takes. */
export async function askResident(
  room: GeneratedRoom,
  roomId: string,
  place: Place,
  network: TestNetwork,
): Promise<AskedAnswer> {
  const rules = rulesOf(room.roomVersion);
  assert(rules !== undefined, 'the room is of a known version');
  const origin = await OriginServer.start({ ...network.issue('localhost'), ca: network.ca }, 'joiner');
  try {
    const userId = `@visitor:${origin.serverName}`;
    const path = `${encodeURIComponent(roomId)}/${encodeURIComponent(userId)}?ver=${room.roomVersion}`;
    const made = await origin.send(
      origin.signed('GET', `/_matrix/federation/v1/make_join/${path}`, place),
      place,
    );
    const { event } = parseJson(made) as { readonly event: JsonObject };
    const signed = signEvent(
      { ...event, origin_server_ts: Date.now() },
      rules,
      origin.serverName,
      origin.key,
    );
    const { eventId } = receiveJson(signed, rules).pdu;
    const uri = `/_matrix/federation/v2/send_join/${encodeURIComponent(roomId)}/${encodeURIComponent(eventId)}`;
    const start = performance.now();
    const bytes = await origin.send(origin.signed('PUT', uri, place, signed), place);
    const answerMs = performance.now() - start;
    const { keyId, publicKey } = origin.key;
    return {
      messages: messagesIn(bytes, room, rules),
      answerMs,
      bytes: bytes.length,
      publicKeys: { [origin.serverName]: { [keyId]: toBase64(publicKey) } },
    };
  } finally {
    await origin.close();
  }
}

/** Every signature that the answer's events must have, each event once. */
function messagesIn(bytes: Uint8Array, room: GeneratedRoom, rules: RoomVersionRules): SignedMessage[] {
  const answer = parseJson(bytes) as JsonObject;
  const seen = new Set<EventId>();
  return ['state', 'auth_chain'].flatMap((name) => {
    const list = own(answer, name);
    assert(isArray(list), `the answer has a list ${name}`);
    return list.filter(isObject).flatMap((event) => {
      const received = receiveJson(event, rules);
      if (seen.has(received.pdu.eventId)) return [];
      seen.add(received.pdu.eventId);
      return signaturesOf(received, room.publicKeys);
    });
  });
}
