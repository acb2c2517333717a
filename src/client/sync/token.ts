// Sync tokens: how far a client has been told everything.
//
//   s<seq>_1.<to-device>.<position>.<epoch>
//
// `seq` is the newest event told, of rooms and of this server's own records alike. `to-device` is the newest
// message to the device that was told: less than `seq` while more of them wait. `position` counts the changes
// that live in memory only, in the run of the server that `epoch` names: from another run none of them was told.
// Clients keep tokens for as long as they like. Everywhere but in `/sync` only the first number counts.

import { invalidParam } from '../errors.js';

export interface SyncToken {
  readonly seq: number;
  readonly toDeviceSeq: number;
  /** Of typing and presence. */
  readonly position: number;
  /** The run of the server that `position` belongs to. */
  readonly epoch: string;
}

const TOKEN = /^s([0-9]{1,15})_1\.([0-9]{1,15})\.([0-9]{1,15})\.([0-9a-f]{1,32})$/;

export function formatToken({ seq, toDeviceSeq, position, epoch }: SyncToken): string {
  return `s${seq}_1.${toDeviceSeq}.${position}.${epoch}`;
}

/**
 * The token that a client gave back.
 * @param seqMax of the newest event there is
 * @throws MatrixError 400 for what this server cannot have given out
 */
export function parseToken(text: string, seqMax: number): SyncToken {
  const match = TOKEN.exec(text);
  const token: SyncToken = {
    seq: Number(match?.[1] ?? Number.NaN),
    toDeviceSeq: Number(match?.[2]),
    position: Number(match?.[3]),
    epoch: match?.[4] ?? '',
  };
  if (!(token.seq <= seqMax) || token.toDeviceSeq > token.seq) {
    throw invalidParam('The since token is none of this server; sync without one.');
  }
  return token;
}
