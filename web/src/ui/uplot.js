// uPlot and its style, as one part that is loaded late.
export { default as uPlot } from "uplot";
