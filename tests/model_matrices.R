# For each line of formulas.txt: the columns of model.matrix (or of lme4's Zt, transposed) on frame.csv, as
# binary doubles with their names beside them. Arguments: the folder.
folder <- commandArgs(TRUE)[1]
d <- read.csv(file.path(folder, "frame.csv"), check.names = FALSE, na.strings = "")
levels_of <- list(f = c("p", "q", "r"), s = c("A b", "c\"d", "\u00e9"), o = c("lo", "mid", "hi", "top"), g = 1:6, h = c("u", "v"))
d$f <- factor(d$f, levels_of$f)
d$s <- factor(d$s, levels_of$s)
d$o <- factor(d$o, levels_of$o, ordered = TRUE)
d$h <- factor(d$h, levels_of$h)
d$flag <- as.logical(d$flag)
options(warn = -1)
center <- function(x) x - mean(x, na.rm = TRUE)
lines <- readLines(file.path(folder, "formulas.txt"), encoding = "UTF-8")
for (i in seq_along(lines)) {
  formula <- as.formula(lines[i])
  out <- file.path(folder, i)
  bars <- lme4::findbars(formula)
  X <- model.matrix(lme4::nobars(formula), model.frame(lme4::subbars(formula), d, drop.unused.levels = TRUE))
  writeLines(enc2utf8(colnames(X)), paste0(out, ".names"), useBytes = TRUE)
  writeBin(as.double(X), paste0(out, ".X"))
  if (length(bars)) {
    fr <- model.frame(lme4::subbars(formula), d, drop.unused.levels = TRUE)
    terms <- lme4::mkReTrms(bars, fr)
    writeLines(enc2utf8(paste(rep(names(terms$cnms), lengths(terms$cnms)), unlist(terms$cnms))), paste0(out, ".cnms"),
               useBytes = TRUE)
    writeBin(as.double(as.matrix(Matrix::t(terms$Zt))), paste0(out, ".Z"))
  }
}
