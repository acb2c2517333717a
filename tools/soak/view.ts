// What a client knows, made of what its syncs told it and of nothing else.

import { type Json, list, object, text } from './http.js';

/** How a client syncs: the state before the timeline, without the members it can do without, or after it. */
export type SyncKind = 'eager' | 'lazy' | 'state_after';

/** Events of a timeline remembered: the newest, without a gap between them. */
const TIMELINE_MAX = 200;

export interface TimelineEvent {
  readonly id: string;
  readonly sender: string;
}

export class RoomView {
  /** Event ids by `stateName`. */
  readonly state = new Map<string, string>();
  timeline: TimelineEvent[] = [];
  /** Event ids of unthreaded public receipts, by user. */
  readonly receipts = new Map<string, string>();
  readonly accountData = new Map<string, Json>();

  apply(room: Json, kind: SyncKind): void {
    const timeline = object(room['timeline']);
    const events = list(timeline['events']).map(object);
    const stateKey = kind === 'state_after' ? 'state_after' : 'state';
    for (const event of list(object(room[stateKey])['events'])) this.#setState(object(event));
    if (kind !== 'state_after') for (const event of events) this.#setState(event);
    if (timeline['limited'] === true) this.timeline = [];
    for (const event of events)
      this.timeline.push({ id: text(event['event_id']), sender: text(event['sender']) });
    this.timeline = this.timeline.slice(-TIMELINE_MAX);
    for (const event of list(object(room['ephemeral'])['events']).map(object)) {
      if (event['type'] === 'm.receipt') this.#applyReceipts(object(event['content']));
    }
    for (const event of list(object(room['account_data'])['events']).map(object)) {
      this.accountData.set(text(event['type']), object(event['content']));
    }
  }

  #setState(event: Json): void {
    if (typeof event['state_key'] !== 'string') return;
    this.state.set(stateName(text(event['type']), event['state_key']), text(event['event_id']));
  }

  #applyReceipts(content: Json): void {
    for (const [eventId, types] of Object.entries(content)) {
      for (const [userId, receipt] of Object.entries(object(object(types)['m.read']))) {
        if (object(receipt)['thread_id'] === undefined) this.receipts.set(userId, eventId);
      }
    }
  }
}

export class View {
  readonly kind: SyncKind;
  readonly rooms = new Map<string, RoomView>();
  readonly invites = new Set<string>();
  readonly accountData = new Map<string, Json>();

  constructor(kind: SyncKind) {
    this.kind = kind;
  }

  /** Takes an answer in. @returns whether it told anything of rooms or account data */
  apply(answer: Json): boolean {
    const rooms = object(answer['rooms']);
    const joined = Object.entries(object(rooms['join']));
    const invited = Object.keys(object(rooms['invite']));
    const left = Object.keys(object(rooms['leave']));
    for (const roomId of left) {
      this.rooms.delete(roomId);
      this.invites.delete(roomId);
    }
    for (const roomId of invited) {
      this.rooms.delete(roomId);
      this.invites.add(roomId);
    }
    for (const [roomId, room] of joined) {
      this.invites.delete(roomId);
      const known = this.rooms.get(roomId) ?? new RoomView();
      this.rooms.set(roomId, known);
      known.apply(object(room), this.kind);
    }
    const accountData = list(object(answer['account_data'])['events']).map(object);
    for (const event of accountData) this.accountData.set(text(event['type']), object(event['content']));
    return joined.length + invited.length + left.length + accountData.length > 0;
  }
}

export function stateName(type: string, stateKey: string): string {
  return JSON.stringify([type, stateKey]);
}
