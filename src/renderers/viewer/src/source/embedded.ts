/** Answers from the data that the page itself holds; a block is decoded when a view first asks for it. */

import type { Block, EmbeddedInfo, OverviewBlock, VectorsBlock, WeightsBlock } from "./blocks";
import { bytesOfBase64, inflated } from "./decode";
import { Overview, overviewAnswers } from "./embedded-overview";
import { LayerVectors } from "./embedded-vectors";
import { decodedWeights, type LayerWeights } from "./embedded-weights";
import { SourceError, type Tile, type TileRequest, type TileSource, type VectorRequest, type Vectors } from "./source";
import type { LayerInfo } from "./trace-info";

/** Gives a block's base64 text by its name; null when the page has no such block. */
export type BlockText = (name: string) => Promise<string | null>;

export class EmbeddedSource implements TileSource {
  private readonly weights = new Map<number, Promise<LayerWeights>>();
  private readonly overviews = new Map<number, Promise<Overview>>();
  private readonly vectorsOf = new Map<number, Promise<LayerVectors>>();

  constructor(
    readonly trace: EmbeddedInfo,
    private readonly text: BlockText,
  ) {}

  async tile(request: TileRequest): Promise<Tile> {
    const layer = this.layer(request.layer);
    const block = this.trace.blocks[`overview-${request.layer}`] as OverviewBlock | undefined;
    if (block !== undefined && overviewAnswers(request, block, layer)) {
      const overview = await remembered(this.overviews, request.layer, async () => {
        return new Overview(await this.bytes(`overview-${request.layer}`), block, layer);
      });
      return overview.tile(request);
    }
    const weights = await remembered(this.weights, request.layer, async () => {
      const name = `weights-${request.layer}`;
      return decodedWeights(await this.bytes(name), this.block(name) as WeightsBlock, layer);
    });
    return weights.tile(request);
  }

  async vectors(request: VectorRequest): Promise<Vectors> {
    const layer = this.layer(request.layer);
    const size = layer.vectors;
    if (size === null) throw new SourceError(layer.noVectors || `layer ${layer.index} has no queries and keys`);
    const vectors = await remembered(this.vectorsOf, request.layer, async () => {
      const name = `vectors-${request.layer}`;
      return new LayerVectors(await this.bytes(name), this.block(name) as VectorsBlock, layer, size);
    });
    return vectors.vectors(request);
  }

  private layer(place: number): LayerInfo {
    const layer = this.trace.layers[place];
    if (layer === undefined) {
      throw new SourceError(`layer ${place} was asked for; this page has ${this.trace.layers.length} layers`);
    }
    return layer;
  }

  private block(name: string): Block {
    const block = this.trace.blocks[name];
    if (block === undefined) throw new SourceError(`this page holds no block "${name}"; write the file again`);
    return block;
  }

  private async bytes(name: string): Promise<Uint8Array> {
    const text = await this.text(name);
    if (text === null) throw new SourceError(`the block "${name}" is missing from this page; write the file again`);
    try {
      return await inflated(bytesOfBase64(text.trim()));
    } catch {
      throw new SourceError(`the block "${name}" of this page is damaged; write the file again`);
    }
  }
}

function remembered<T>(made: Map<number, Promise<T>>, place: number, make: () => Promise<T>): Promise<T> {
  const known = made.get(place) ?? make();
  made.set(place, known);
  return known;
}
