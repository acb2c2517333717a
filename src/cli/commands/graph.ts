// `stateroom graph`: the graph of events around one, or the newest part of a room, as data or as a picture.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { toSvg } from '../../reader/explain/drawing/svg.js';
import { toDot, toMermaid } from '../../reader/explain/drawing/text-formats.js';
import { AROUND_DEFAULT, AROUND_MAX, type Graph, graph } from '../../reader/explain/graph.js';
import { TargetError } from '../../reader/errors.js';
import { examples, globalsOf, withReader } from '../context.js';
import { printJson, writeOut } from '../output.js';

const FORMATS = ['dot', 'mermaid', 'svg', 'json'] as const;
type Format = (typeof FORMATS)[number];

const WRITERS: Readonly<Record<Exclude<Format, 'json'>, (graph: Graph) => string>> = {
  dot: toDot,
  mermaid: toMermaid,
  svg: toSvg,
};

export function addGraph(program: Command): void {
  program
    .command('graph')
    .description(
      'Draws the events around one, or the newest of a room: forks, merges, state events, soft-failed and rejected ' +
        'events, forward extremities.',
    )
    .argument('<target>', 'event id or room id')
    .addOption(new Option('--format <format>', 'how to write it').choices(FORMATS).default('dot'))
    .option('--around <n>', `events on each side (at most ${AROUND_MAX})`, count, AROUND_DEFAULT)
    .addHelpText(
      'after',
      examples(
        ["graph '$id' --format svg > graph.svg", 'a picture of what went on around an event'],
        [
          "graph '!room:example.org' --around 50 | dot -Tpng > graph.png",
          'the newest 50 events, drawn by Graphviz',
        ],
        ["graph '$id' --json", 'nodes and edges'],
      ),
    )
    .action(
      async (
        target: string,
        options: { readonly format: Format; readonly around: number },
        command: Command,
      ) => {
        if (!/^[$!]/.test(target))
          throw new TargetError(`${target} is no event id and no room id`, { target });
        const globals = globalsOf(command);
        await withReader(globals, async (reader) => {
          const drawn = await graph(reader, target, { around: options.around });
          if (globals.json || options.format === 'json') await printJson(drawn);
          else await writeOut(WRITERS[options.format](drawn));
        });
      },
    );
}

function count(text: string): number {
  const number = Number(text);
  if (!/^[0-9]+$/.test(text) || number > AROUND_MAX)
    throw new InvalidArgumentError(`It is a number from 0 to ${AROUND_MAX}.`);
  return number;
}
