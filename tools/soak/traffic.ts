// What clients do: one thing drawn at random after another, each with the outcomes that are right.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from './client.js';
import { list, object, text } from './http.js';
import type { Ledger } from './ledger.js';
import { SoakRoom, World } from './world.js';

const MESSAGES_KEPT = 30;
const FORBIDDEN = ['403 M_FORBIDDEN'];

type Action = (client: Client) => Promise<void>;

export class Traffic {
  readonly world = new World();
  readonly #clients: readonly Client[];
  readonly #ledger: Ledger;
  /** Each as often as it is to be drawn. */
  readonly #actions: readonly Action[];

  constructor(clients: readonly Client[], ledger: Ledger) {
    this.#clients = clients;
    this.#ledger = ledger;
    const weighed: ReadonlyArray<readonly [weight: number, action: Action]> = [
      [40, (client) => this.#message(client)],
      [15, (client) => this.#receipt(client)],
      [10, (client) => this.#typing(client)],
      [8, (client) => this.#state(client)],
      [6, (client) => this.#join(client)],
      [4, (client) => this.#leave(client)],
      [6, (client) => this.#govern(client)],
      [6, (client) => this.#accountData(client)],
      [8, (client) => this.#toDevice(client)],
      [5, (client) => this.#redact(client)],
      [4, (client) => this.#messages(client)],
      [4, (client) => this.#trespass(client)],
      [1, (client) => this.#restart(client)],
    ];
    this.#actions = weighed.flatMap(([weight, action]) => Array.from({ length: weight }, () => action));
  }

  /** Makes the rooms: some for everybody, most for a few. */
  async begin(rooms: number): Promise<void> {
    let made = 0;
    await Promise.all(
      this.#clients.map(async (client) => {
        while (made < rooms) await this.#createRoom(client, made++);
      }),
    );
  }

  async #createRoom(client: Client, number: number): Promise<void> {
    const { random } = client;
    const isPublic = !random.oneIn(3);
    const others = this.#clients.filter(({ userId }) => userId !== client.userId);
    const isLarge = number % 40 === 0;
    const guests = isLarge ? others : Array.from({ length: random.between(1, 6) }, () => random.take(others));
    const answer = await client.request('POST', '/createRoom', {
      body: {
        preset: isPublic ? 'public_chat' : 'private_chat',
        name: `Room ${number}`,
        invite: guests.map(({ userId }) => userId),
        power_level_content_override: { events: { 'soak.note': 0 }, invite: 0 },
      },
    });
    if (!this.#ledger.note('createRoom', answer)) return;
    const room = new SoakRoom(text(answer.body['room_id']), client.userId, {
      isPublic,
      isWild: random.oneIn(4),
    });
    for (const { userId } of guests) room.members.set(userId, 'invite');
    this.world.rooms.push(room);
    for (const guest of guests) if (!random.oneIn(5)) await this.#joinRoom(guest, room);
  }

  /** One thing after another until it is told to end. @param pauseMs between them, on average */
  async run(client: Client, pauseMs: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await client.random.pick(this.#actions)(client);
      } catch (error) {
        this.#ledger.unexpected('no answer', `${client.name}: ${String(error)}`);
      }
      await sleep(client.random.below(2 * pauseMs), undefined, { signal }).catch(() => undefined);
    }
  }

  #someRoom(client: Client, isIt: (room: SoakRoom) => boolean): SoakRoom | undefined {
    const rooms = this.world.rooms.filter(isIt);
    return rooms.length === 0 ? undefined : client.random.pick(rooms);
  }

  /** Does something in a room while the client is in it. */
  async #inside(client: Client, work: (room: SoakRoom, path: string) => Promise<void>): Promise<void> {
    const isIn = (room: SoakRoom): boolean => room.membership(client.userId) === 'join';
    const room = this.#someRoom(client, isIn);
    await room?.talking(async () => {
      if (isIn(room)) await work(room, pathOf(room));
    });
  }

  #message(client: Client): Promise<void> {
    return this.#inside(client, async (room, path) => {
      const transaction = client.transactionId();
      const url = `${path}/send/m.room.message/${transaction}`;
      const body = {
        msgtype: 'm.text',
        body: `${transaction} ${client.random.token(client.random.between(5, 200))}`,
      };
      const answer = await client.request('PUT', url, { body });
      if (!this.#ledger.note('send', answer, room.ifAllowed)) return;
      const id = text(answer.body['event_id']);
      room.messages.push({ id, sender: client.userId });
      if (room.messages.length > MESSAGES_KEPT) room.messages.shift();
      if (!client.random.oneIn(10)) return;
      const again = await client.request('PUT', url, { body });
      const isSame = this.#ledger.note('send again', again, room.ifAllowed) && again.body['event_id'] === id;
      if (!isSame && !room.isWild)
        this.#ledger.unexpected('transaction not kept', `${transaction} made two events`);
    });
  }

  #receipt(client: Client): Promise<void> {
    return this.#inside(client, async (room, path) => {
      const message = room.messages.at(-1);
      if (message === undefined) return;
      const id = encodeURIComponent(message.id);
      const allowed = room.isWild ? [...room.ifAllowed, '404 M_NOT_FOUND'] : room.ifAllowed;
      const kind = client.random.pick(['m.read', 'm.read', 'm.read.private'] as const);
      const answer = client.random.oneIn(4)
        ? await client.request('POST', `${path}/read_markers`, {
            body: { 'm.fully_read': message.id, 'm.read': message.id },
          })
        : await client.request('POST', `${path}/receipt/${kind}/${id}`, { body: {} });
      this.#ledger.note('receipt', answer, allowed);
    });
  }

  #typing(client: Client): Promise<void> {
    return this.#inside(client, async (room, path) => {
      const body = client.random.oneIn(3) ? { typing: false } : { typing: true, timeout: 5_000 };
      const answer = await client.request('PUT', `${path}/typing/${client.userId}`, { body });
      this.#ledger.note('typing', answer, room.ifAllowed);
    });
  }

  #state(client: Client): Promise<void> {
    return this.#inside(client, async (room, path) => {
      const { random, userId } = client;
      if (random.oneIn(4)) {
        const body = { displayname: `${client.name} ${random.below(1_000)}`, membership: 'join' };
        const answer = await client.request('PUT', `${path}/state/m.room.member/${userId}`, { body });
        this.#ledger.note('member event', answer, room.ifAllowed);
      } else if (room.creator === userId && random.oneIn(2)) {
        const answer = await client.request('PUT', `${path}/state/m.room.topic/`, {
          body: { topic: random.token(40) },
        });
        this.#ledger.note('topic', answer, room.ifAllowed);
      } else {
        const body = { note: random.token(20) };
        const answer = await client.request('PUT', `${path}/state/soak.note/${random.below(20)}`, { body });
        this.#ledger.note('state', answer, room.ifAllowed);
      }
    });
  }

  async #join(client: Client): Promise<void> {
    const mayJoin = (room: SoakRoom): boolean => {
      const membership = room.membership(client.userId);
      return membership === 'invite' || (membership === 'leave' && room.isPublic);
    };
    const room = this.#someRoom(client, mayJoin);
    await room?.changing(async () => {
      if (mayJoin(room)) await this.#joinRoom(client, room);
    });
  }

  async #joinRoom(client: Client, room: SoakRoom): Promise<void> {
    const answer = await client.request('POST', `/join/${encodeURIComponent(room.roomId)}`, { body: {} });
    if (this.#ledger.note('join', answer, room.ifAllowed)) room.members.set(client.userId, 'join');
  }

  async #leave(client: Client): Promise<void> {
    const mayLeave = (room: SoakRoom): boolean =>
      room.creator !== client.userId && ['join', 'invite'].includes(room.membership(client.userId));
    const room = this.#someRoom(client, mayLeave);
    await room?.changing(async () => {
      if (!mayLeave(room)) return;
      const answer = await client.request('POST', `${pathOf(room)}/leave`, { body: {} });
      if (!this.#ledger.note('leave', answer, room.ifAllowed)) return;
      room.members.set(client.userId, 'leave');
      if (!client.random.oneIn(5)) return;
      const forgotten = await client.request('POST', `${pathOf(room)}/forget`, { body: {} });
      this.#ledger.note('forget', forgotten, room.isWild ? ['200', '400 M_UNKNOWN'] : ['200']);
    });
  }

  /** Who created a room invites, kicks, bans and unbans. */
  async #govern(client: Client): Promise<void> {
    const room = this.#someRoom(client, ({ creator }) => creator === client.userId);
    await room?.changing(async () => {
      const { random } = client;
      const other = random.pick(this.#clients).userId;
      if (other === client.userId) return;
      const membership = room.membership(other);
      const [verb, next] =
        membership === 'leave'
          ? (['invite', 'invite'] as const)
          : membership === 'ban'
            ? (['unban', 'leave'] as const)
            : random.oneIn(3)
              ? (['ban', 'ban'] as const)
              : (['kick', 'leave'] as const);
      const answer = await client.request('POST', `${pathOf(room)}/${verb}`, { body: { user_id: other } });
      if (this.#ledger.note(verb, answer, room.ifAllowed)) room.members.set(other, next);
    });
  }

  async #accountData(client: Client): Promise<void> {
    const { random, userId } = client;
    const body = { value: random.below(1_000_000) };
    const type = `soak.data.${random.below(5)}`;
    if (random.oneIn(2)) {
      const answer = await client.request('PUT', `/user/${userId}/account_data/${type}`, { body });
      this.#ledger.note('account data', answer);
      return;
    }
    await this.#inside(client, async (room, path) => {
      const answer = await client.request('PUT', `/user/${userId}${path}/account_data/${type}`, { body });
      this.#ledger.note('room account data', answer, room.ifAllowed);
    });
  }

  async #toDevice(client: Client): Promise<void> {
    const { userId, deviceId } = client.random.pick(this.#clients);
    const id = client.transactionId();
    const answer = await client.request('PUT', `/sendToDevice/soak.message/${id}`, {
      body: { messages: { [userId]: { [deviceId]: { id } } } },
    });
    if (this.#ledger.note('sendToDevice', answer)) {
      this.world.sentToDevices.push({ id, sender: client.userId, userId, deviceId });
    }
  }

  #redact(client: Client): Promise<void> {
    return this.#inside(client, async (room, path) => {
      const own = room.messages.findLast(({ sender }) => sender === client.userId);
      if (own === undefined) return;
      const url = `${path}/redact/${encodeURIComponent(own.id)}/${client.transactionId()}`;
      this.#ledger.note('redact', await client.request('PUT', url, { body: {} }), room.ifAllowed);
    });
  }

  #messages(client: Client): Promise<void> {
    return this.#inside(client, async (room, path) => {
      const answer = await client.request('GET', `${path}/messages`, { query: { dir: 'b', limit: '20' } });
      if (!this.#ledger.note('messages', answer, room.ifAllowed)) return;
      const [newest] = list(answer.body['chunk']).map(object);
      if (newest === undefined) return;
      const id = encodeURIComponent(text(newest['event_id']));
      const allowed = room.isWild ? [...room.ifAllowed, '404 M_NOT_FOUND'] : room.ifAllowed;
      this.#ledger.note('context', await client.request('GET', `${path}/context/${id}`), allowed);
      this.#ledger.note('members', await client.request('GET', `${path}/members`), room.ifAllowed);
    });
  }

  /** Who is not in a room, and was not, gets nothing of it. */
  async #trespass(client: Client): Promise<void> {
    const isOut = (room: SoakRoom): boolean =>
      !room.isWild && !room.isPublic && !room.members.has(client.userId);
    const room = this.#someRoom(client, isOut);
    await room?.talking(async () => {
      if (!isOut(room)) return;
      const path = pathOf(room);
      const body = { msgtype: 'm.text', body: 'let me in' };
      const sent = await client.request('PUT', `${path}/send/m.room.message/${client.transactionId()}`, {
        body,
      });
      this.#ledger.note('trespass: send', sent, FORBIDDEN);
      this.#ledger.note('trespass: state', await client.request('GET', `${path}/state`), FORBIDDEN);
      const joined = await client.request('POST', `/join/${encodeURIComponent(room.roomId)}`, { body: {} });
      this.#ledger.note('trespass: join', joined, FORBIDDEN);
    });
  }

  async #restart(client: Client): Promise<void> {
    if (client.random.oneIn(3)) await client.logInAgain();
    else if (client.random.oneIn(2)) await client.beginAnew();
    else await client.resume();
  }
}

function pathOf({ roomId }: SoakRoom): string {
  return `/rooms/${encodeURIComponent(roomId)}`;
}
