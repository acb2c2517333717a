// Federation by real HTTPS between processes on one machine, against the least that must be done for it:
// verifying the same signatures on all cores, in the same run.

import type { BenchContext } from '../context.js';
import type { Findings } from '../report/report.js';
import { temporaryFolder } from '../stores.js';
import { measureInbound } from './inbound.js';
import { measureJoins } from './joins.js';
import { measureRejoin } from './rejoin.js';

export async function measureFederation(context: BenchContext): Promise<Findings> {
  const { path, remove } = await temporaryFolder();
  try {
    const inbound = await measureInbound(context, path);
    const joins = await measureJoins(context, path);
    const rejoin = await measureRejoin(context);
    const all = [joins, rejoin, inbound];
    return {
      series: [],
      targets: all.flatMap(({ targets }) => targets),
      remarks: all.flatMap(({ remarks }) => remarks),
    };
  } finally {
    await remove();
  }
}
