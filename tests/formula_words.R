# For each line of formulas.txt: the design of a fit on frame.csv, its names, and the design that the same fit makes
# of new.csv (as predict() would), as binary doubles. Arguments: the folder.
folder <- commandArgs(TRUE)[1]
library(splines)
Sys.setlocale("LC_COLLATE", "C")
options(warn = -1)
center <- function(x) x - mean(x, na.rm = TRUE)
read <- function(name) {
  d <- read.csv(file.path(folder, name), na.strings = "")
  for (f in c("f", "f2")) d[[f]] <- factor(d[[f]], c("p", "q", "r"))
  d$g <- factor(d$g, c("p", "v", "w"))
  for (o in c("o", "o2")) d[[o]] <- factor(d[[o]], c("lo", "mid", "hi"), ordered = TRUE)
  d$flag <- as.logical(d$flag)
  d
}
d <- read("frame.csv")
new <- read("new.csv")
lines <- readLines(file.path(folder, "formulas.txt"), encoding = "UTF-8")
for (i in seq_along(lines)) {
  out <- file.path(folder, i)
  fit <- tryCatch(lm(as.formula(lines[i]), d), error = conditionMessage)
  if (is.character(fit)) {
    writeLines(fit, paste0(out, ".refused"))
    next
  }
  X <- model.matrix(fit)
  writeLines(enc2utf8(colnames(X)), paste0(out, ".names"), useBytes = TRUE)
  writeBin(as.double(X), paste0(out, ".X"))
  again <- tryCatch({
    frame <- model.frame(delete.response(terms(fit)), new, na.action = na.pass, xlev = fit$xlevels)
    model.matrix(delete.response(terms(fit)), frame, contrasts.arg = fit$contrasts)
  }, error = function(e) numeric())
  writeBin(as.double(again), paste0(out, ".new"))
}
