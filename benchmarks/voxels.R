# Milliseconds of processor time a voxel of brglm2's formula call and of glm(), each with its summary, in R alone.
# Argument: the folder with models.csv (name) and, for each, its design NAME_X.csv and responses NAME_Y.csv (a column each).
suppressPackageStartupMessages(library(brglm2))
folder <- commandArgs(TRUE)[1]
for (name in read.csv(file.path(folder, "models.csv"))$name) {
  d <- read.csv(file.path(folder, paste0(name, "_X.csv")))
  Y <- read.csv(file.path(folder, paste0(name, "_Y.csv")))
  spent <- function(method, ...) {
    median(sapply(Y, function(y) {
      d$y <- y
      sum(system.time(suppressWarnings(summary(glm(y ~ ., binomial("probit"), d, method = method, ...))))[1:2])
    }))
  }
  cat(name, 1e3 * spent("brglmFit", type = "AS_mean"), 1e3 * spent("glm.fit"), "\n", sep = "\t")
}
cat("version", sprintf("R %s, brglm2 %s", getRversion(), packageVersion("brglm2")), "\n", sep = "\t")
