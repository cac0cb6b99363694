# Median seconds and log-likelihood of each model's fit in R alone. Arguments: the folder with models.csv and the data.
suppressPackageStartupMessages({library(lme4); library(glmmTMB)})
folder <- commandArgs(TRUE)[1]
models <- read.csv(file.path(folder, "models.csv"))
factors <- c("herd", "period", "mouseID", "id", "item", "BROOD", "LOCATION", "YEAR", "g")
for (i in seq_len(nrow(models))) {
  d <- read.csv(file.path(folder, paste0(models$data[i], ".csv")), stringsAsFactors = TRUE)
  for (group in intersect(names(d), factors)) d[[group]] <- factor(d[[group]])
  call <- parse(text = models$call[i])[[1]]
  seconds <- replicate(models$repeats[i] + 1, {
    began <- proc.time()[["elapsed"]]
    for (k in seq_len(models$calls[i])) m <<- suppressMessages(suppressWarnings(eval(call)))
    (proc.time()[["elapsed"]] - began) / models$calls[i]
  })
  seconds <- if (length(seconds) > 1) seconds[-1] else seconds
  cat(models$name[i], median(seconds), format(as.numeric(logLik(m)), digits = 12), "\n", sep = "\t")
}
cat("version", sprintf("R %s, lme4 %s, glmmTMB %s", getRversion(), packageVersion("lme4"), packageVersion("glmmTMB")),
    "", "\n", sep = "\t")
