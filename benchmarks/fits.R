# Median seconds of each model's fit in R alone. Arguments: the folder with models.csv (name, data, call) and the data.
suppressPackageStartupMessages(library(lme4))
folder <- commandArgs(TRUE)[1]
models <- read.csv(file.path(folder, "models.csv"))
for (i in seq_len(nrow(models))) {
  d <- read.csv(file.path(folder, paste0(models$data[i], ".csv")))
  for (group in intersect(names(d), c("Subject", "herd", "mouseID", "g", "plate", "sample", "period"))) d[[group]] <- factor(d[[group]])
  call <- parse(text = models$call[i])[[1]]
  # five calls a reading: system.time() counts whole milliseconds
  seconds <- replicate(models$repeats[i] + 1, system.time(for (k in 1:5) eval(call))[["elapsed"]] / 5)[-1]
  cat(models$name[i], median(seconds), "\n", sep = "\t")
}
cat("version", sprintf("R %s, lme4 %s", getRversion(), packageVersion("lme4")), "\n", sep = "\t")
