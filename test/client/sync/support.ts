// Syncs as tests read them, and events that come from elsewhere in the graph.

import { Harness, itemsOf, type Json, type TestUser, textOf } from '../harness.js';
import { Rooms } from '../rooms.js';
import { buildEvent } from '../../../src/event/build.js';
import { type EventId, type RoomId, serverOf, type UserId } from '../../../src/event/ids.js';
import type { JsonObject } from '../../../src/event/json.js';
import { createSigningKey } from '../../../src/event/signing.js';
import { authEventKeys } from '../../../src/room/auth/selection.js';

export type Query = Readonly<Record<string, string>>;

/** A homeserver, its rooms, and its syncs. */
export class Scene {
  readonly harness: Harness;
  readonly rooms: Rooms;

  constructor(harness: Harness) {
    this.harness = harness;
    this.rooms = new Rooms(harness);
  }

  /** Opens a scene, plays it, closes it. */
  static async play(scene: (scene: Scene) => Promise<void>): Promise<void> {
    const harness = await Harness.open();
    try {
      await scene(new Scene(harness));
    } finally {
      await harness.close();
    }
  }

  /** A sync that must be answered. `filter` may be an object. */
  async sync(user: Pick<TestUser, 'accessToken'>, query: Query = {}, filter?: object): Promise<Json> {
    const answer = await this.harness.call(
      user,
      'GET',
      '/v3/sync',
      {},
      {
        query: filter === undefined ? query : { ...query, filter: JSON.stringify(filter) },
      },
    );
    if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
    return answer.body;
  }

  /** The token of now. */
  async token(user: Pick<TestUser, 'accessToken'>): Promise<string> {
    return textOf((await this.sync(user))['next_batch']);
  }

  /**
   * An event that somebody sent after another one, not knowing what came since.
   * @returns its id and the verdict
   */
  async fork(
    roomId: string,
    after: string,
    event: {
      readonly type: string;
      readonly sender: string;
      readonly stateKey?: string;
      readonly content: JsonObject;
    },
  ): Promise<{ readonly eventId: string; readonly verdict: string }> {
    const { engine } = this.harness.home;
    const previous = engine.reader.event(after);
    const { rules } = previous.pdu;
    const state = engine.stateAt(after);
    const stateKey = event.stateKey === undefined ? {} : { stateKey: event.stateKey };
    const keys = authEventKeys({ ...event, rules, stateKey: event.stateKey });
    const server = serverOf(event.sender as UserId);
    const pdu = buildEvent(
      {
        type: event.type,
        sender: event.sender as UserId,
        content: event.content,
        ...stateKey,
        roomId: roomId as RoomId,
        prevEvents: [after as EventId],
        authEvents: keys.flatMap(([type, key]) => state.get(type, key) ?? []),
        depth: previous.pdu.depth + 1,
        originServerTs: this.harness.home.now(),
      },
      { rules, server, key: createSigningKey('ed25519:1', new Uint8Array(32).fill(9)) },
    );
    const { verdict } = await engine.receive(JSON.stringify(pdu.json), { from: server });
    return { eventId: pdu.eventId, verdict };
  }
}

/** What of a sync is said of a joined room. */
export function joinedIn(sync: Json, roomId: string): Json | undefined {
  return sync['rooms']?.['join']?.[roomId];
}

export function leftIn(sync: Json, roomId: string): Json | undefined {
  return sync['rooms']?.['leave']?.[roomId];
}

/** The events of a part: `timeline`, `state`, `ephemeral`, ... */
export function eventsOf(room: Json | undefined, part: string): readonly Json[] {
  return itemsOf(room?.[part]?.['events']);
}

/** Events in short: the text of a message, else type and state key. */
export function shorts(room: Json | undefined, part: string): string[] {
  return eventsOf(room, part).map((event) => {
    const body = event['content']?.['body'];
    if (body !== undefined) return textOf(body);
    const type = textOf(event['type']).replace('m.room.', '');
    return event['state_key'] === undefined ? type : `${type}|${textOf(event['state_key'])}`;
  });
}

export function idsOf(room: Json | undefined, part: string): string[] {
  return eventsOf(room, part).map((event) => textOf(event['event_id']));
}

/** The token to go on from. */
export function nextOf(sync: Json): string {
  return textOf(sync['next_batch']);
}

/** Members by their user ids, sorted. */
export function membersOf(room: Json | undefined, part: string): string[] {
  return eventsOf(room, part)
    .filter((event) => textOf(event['type']) === 'm.room.member')
    .map((event) => textOf(event['state_key']))
    .sort();
}
