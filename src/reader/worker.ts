// A reader thread: the process's one LevelDB, a reader and a node cache of its own, answers by the message.
//
// The main thread opened the database before and closes it after; ending this thread closes its handle.

import { workerData } from 'node:worker_threads';
import type { StateroomError } from '../lib/errors.js';
import { positionOf } from '../room/state/key.js';
import { Store } from '../store/store.js';
import { NodeCache } from '../tree/cache.js';
import { TreeNodeCorrupt, TreeNodeMissing } from '../tree/errors.js';
import { StateTree } from '../tree/tree.js';
import type { Checkpoint } from './answer.js';
import { type Ask, type Reply, replyOf, type ThreadSettings } from './messages.js';
import { Reader } from './reader.js';
import { checkpointOf, closed, CommittedSeq, faultOf, type Outcome, outcomeOf } from './runner.js';

const settings = workerData as ThreadSettings;
const opened = await open();

/** What a thread reads with. */
interface Opened {
  reader: Reader;
  readonly committed: CommittedSeq;
}

/** A failure to open is an answer like others: thrown here, it would reach nobody with its code. */
async function open(): Promise<Opened | StateroomError> {
  try {
    const store = await Store.open({ kind: 'folder', path: settings.path, create: false });
    return { reader: newReader(store), committed: new CommittedSeq(store) };
  } catch (thrown) {
    return faultOf(thrown);
  }
}

function newReader(store: Store): Reader {
  return new Reader(store, new StateTree(store, new NodeCache(settings.nodeCacheBytes), positionOf));
}

/** The thread's task: a reply for each query, in their order. A message without queries asks whether it is open. */
export default async function replyToAll(asks: readonly Ask[]): Promise<Reply[]> {
  if (!('reader' in opened)) return [replyOf({ ok: false, error: opened })];
  const replies: Reply[] = [];
  // A caller's time runs from the message's arrival, not from its query's turn.
  const checkpoints = asks.map(({ timeoutMs, elapsedMs }) =>
    checkpointOf(timeoutMs, endIfStopped, elapsedMs),
  );
  for (const [i, ask] of asks.entries()) {
    replies.push(replyOf(await outcomeOfAsk(opened, ask, checkpoints[i] ?? endIfStopped)));
  }
  return replies;
}

async function outcomeOfAsk(opened: Opened, ask: Ask, checkpoint: Checkpoint): Promise<Outcome> {
  const { query, watermark } = ask;
  const outcome = await outcomeOf(opened.reader, query, opened.committed, watermark, checkpoint);
  if (outcome.ok || !isNodeFault(outcome.error)) return outcome;
  // Records may have been written anew behind this thread's caches: a damaged store fails again.
  opened.reader = newReader(opened.reader.store);
  return outcomeOf(opened.reader, query, opened.committed, watermark, checkpoint);
}

function isNodeFault({ code }: StateroomError): boolean {
  return code === TreeNodeMissing.code || code === TreeNodeCorrupt.code;
}

function endIfStopped(): void {
  if (Atomics.load(settings.stop, 0) !== 0) throw closed();
}
