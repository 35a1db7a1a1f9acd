/** The views that the page offers, in the order of their tabs. */

import { createHeadView } from "./head";
import { createMatrixView } from "./matrix";
import { createModelView } from "./model";
import { createNeuronView } from "./neuron";
import type { View } from "./view";

export const VIEWS: readonly (() => View)[] = [createHeadView, createModelView, createNeuronView, createMatrixView];
