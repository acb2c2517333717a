// What tests of rooms have in common: making rooms, talking in them, reading them.

import * as assert from 'uvu/assert';
import type { Route } from '../../src/client/route.js';
import { type Answer, type Harness, itemsOf, type Json, type TestUser, textOf } from './harness.js';

/** A path of the client API with its parts percent-encoded: `` v3`rooms/${roomId}/send/m.room.message/1` ``. */
export function v3(parts: TemplateStringsArray, ...values: readonly string[]): string {
  const encoded = values.map((value, i) => `${encodeURIComponent(value)}${parts[i + 1] ?? ''}`);
  return `/v3/${parts[0] ?? ''}${encoded.join('')}`;
}

export class Rooms {
  readonly #harness: Harness;
  #txn = 0;

  constructor(harness: Harness) {
    this.#harness = harness;
  }

  /** A request that must succeed. */
  async ask(
    who: TestUser | undefined,
    method: Route['method'],
    path: string,
    body: unknown = {},
  ): Promise<Json> {
    const answer = await this.#harness.call(who, method, path, body);
    assert.is(answer.status, 200, `${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** A request that must be refused with this status and code. */
  async refused(
    expected: readonly [status: number, errcode: string],
    who: TestUser | undefined,
    method: Route['method'],
    path: string,
    body: unknown = {},
  ): Promise<Answer> {
    const answer = await this.#harness.call(who, method, path, body);
    assert.equal([answer.status, textOf(answer.body['errcode'])], expected, JSON.stringify(answer.body));
    return answer;
  }

  async create(creator: TestUser, body: object = {}): Promise<string> {
    return textOf((await this.ask(creator, 'POST', '/v3/createRoom', body))['room_id']);
  }

  async invite(inviter: TestUser, roomId: string, invitee: TestUser): Promise<void> {
    await this.ask(inviter, 'POST', v3`rooms/${roomId}/invite`, { user_id: invitee.userId });
  }

  async join(user: TestUser, roomId: string): Promise<void> {
    await this.ask(user, 'POST', v3`rooms/${roomId}/join`);
  }

  async leave(user: TestUser, roomId: string): Promise<void> {
    await this.ask(user, 'POST', v3`rooms/${roomId}/leave`);
  }

  async ban(moderator: TestUser, roomId: string, target: TestUser): Promise<void> {
    await this.ask(moderator, 'POST', v3`rooms/${roomId}/ban`, { user_id: target.userId });
  }

  /** Says something. @returns the event's id */
  async say(user: TestUser, roomId: string, body: string): Promise<string> {
    const path = v3`rooms/${roomId}/send/m.room.message/${`t${++this.#txn}`}`;
    return textOf((await this.ask(user, 'PUT', path, { msgtype: 'm.text', body }))['event_id']);
  }

  /** Sets state. @returns the event's id */
  async set(user: TestUser, roomId: string, type: string, content: object, stateKey = ''): Promise<string> {
    const path = v3`rooms/${roomId}/state/${type}/${stateKey}`;
    return textOf((await this.ask(user, 'PUT', path, content))['event_id']);
  }

  /** What was said, as far as the user sees it, oldest first. */
  async heard(user: TestUser, roomId: string): Promise<string[]> {
    const page = await this.ask(user, 'GET', `${v3`rooms/${roomId}/messages`}?dir=b&limit=1000`);
    return bodies(page['chunk']).reverse();
  }

  /** The type and state key of every event of a room, in order. */
  async history(user: TestUser, roomId: string): Promise<string[]> {
    const page = await this.ask(user, 'GET', `${v3`rooms/${roomId}/messages`}?dir=f&limit=1000`);
    return itemsOf(page['chunk']).map((event) => `${leaf(event['type'])}|${leaf(event['state_key'])}`);
  }
}

/** The texts of the messages among events. */
export function bodies(events: Json | undefined): string[] {
  return itemsOf(events)
    .filter((event) => textOf(event['type']) === 'm.room.message')
    .map((event) => leaf(event['content']?.['body']));
}

/** A leaf as text; empty where it is not there. */
export function leaf(json: Json | undefined): string {
  return json === undefined ? '' : textOf(json);
}
