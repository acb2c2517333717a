// What other servers send to our users' devices, and the receipts of theirs: written into the accounts.

import type { Accounts } from '../../account/accounts.js';
import type { ToDeviceMessage } from '../../account/to-device.js';
import type { InternalRecord } from '../../core/internal.js';
import type { Engine } from '../../engine/engine.js';
import type { EduSink, RemoteReceipt } from './edu-sink.js';

/** The durable half of a sink; typing and presence live elsewhere. */
export function accountSink(engine: Engine, accounts: Accounts): Pick<EduSink, 'receipts' | 'toDevice'> {
  return {
    receipts: (receipts) =>
      write(
        engine,
        receipts.flatMap((receipt) => recordsOf(engine, accounts, receipt)),
      ),
    toDevice: (messages: readonly ToDeviceMessage[]) => write(engine, accounts.toDevice.records(messages)),
  };
}

async function write(engine: Engine, records: readonly InternalRecord[]): Promise<void> {
  if (records.length > 0) await engine.internal.write(records);
}

/** None where the user has read further already. What is not known here yet is compared by its time. */
function recordsOf(engine: Engine, accounts: Accounts, receipt: RemoteReceipt): readonly InternalRecord[] {
  const { roomId, userId, type, threadId, eventId, ts } = receipt;
  const before = accounts.receipts.get(roomId, userId, type, threadId);
  if (before !== undefined) {
    const [was, is] = [engine.store.seqOf(before.eventId), engine.store.seqOf(eventId)];
    if (was !== undefined && is !== undefined ? was >= is : before.ts >= ts) return [];
  }
  return [accounts.receipts.record(roomId, receipt)];
}
