# Fits models on demand, so that each can be timed right beside the same fit elsewhere.
# Argument: the folder with models.csv (name, data, call) and the data. A line with a model's number on standard input
# is answered by the seconds of its call and the criterion reached.
suppressPackageStartupMessages(library(lme4))
folder <- commandArgs(TRUE)[1]
models <- read.csv(file.path(folder, "models.csv"))
tables <- list()
for (name in unique(models$data)) {
  d <- read.csv(file.path(folder, paste0(name, ".csv")))
  for (column in readLines(file.path(folder, paste0(name, ".factors")))) d[[column]] <- factor(d[[column]])
  tables[[name]] <- d
}
cat(sprintf("R %s, lme4 %s\n", getRversion(), packageVersion("lme4")))
input <- file("stdin", "r")
while (length(line <- readLines(input, 1)) > 0) {
  i <- as.integer(line)
  d <- tables[[models$data[i]]]
  call <- parse(text = models$call[i])[[1]]
  times <- models$times[i] # calls a reading: system.time() counts whole milliseconds
  took <- system.time(for (k in seq_len(times)) m <- suppressMessages(suppressWarnings(eval(call))))[["elapsed"]] / times
  cat(took, format(-2 * c(logLik(m)), digits = 17), "\n")
}
