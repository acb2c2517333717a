// The machine that the figures belong to, and whether this process runs native addons.

import { availableParallelism, cpus, totalmem } from 'node:os';
import { basename } from 'node:path';
import type { Machine } from './report/report.js';

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    addons: loadedAddons(),
  };
}

/** File names of the addons loaded into this process, as the operating system sees them. */
function loadedAddons(): string[] {
  const report: unknown = process.report.getReport();
  if (typeof report !== 'object' || report === null || !('sharedObjects' in report)) return [];
  const { sharedObjects } = report;
  if (!Array.isArray(sharedObjects)) return [];
  return sharedObjects
    .filter((path): path is string => typeof path === 'string' && path.endsWith('.node'))
    .map((path) => basename(path));
}

/** Does `--no-addons` hold, on the command line or by `NODE_OPTIONS`? */
export function refusesAddons(): boolean {
  const options = (process.env['NODE_OPTIONS'] ?? '').split(/\s+/);
  return [...process.execArgv, ...options].includes('--no-addons');
}
