# Fits one mixed model a voxel by its formula call, as one would loop over voxels; writes the criterion of each.
# Arguments: the folder with design.csv and responses.csv (a column a voxel), the call (of y and d), the file to write.
suppressPackageStartupMessages(library(lme4))
given <- commandArgs(TRUE)
d <- read.csv(file.path(given[1], "design.csv"))
for (name in c("group", "site")) d[[name]] <- factor(d[[name]])
responses <- read.csv(file.path(given[1], "responses.csv"))
call <- parse(text = given[2])[[1]]
d$y <- responses[[1]]
m <- suppressMessages(suppressWarnings(eval(call))) # loads what is loaded once
values <- numeric(ncol(responses))
took <- system.time(for (v in seq_along(values)) {
  d$y <- responses[[v]]
  m <- suppressMessages(suppressWarnings(eval(call)))
  values[v] <- -2 * c(logLik(m))
})
took <- took[["user.self"]] + took[["sys.self"]]
writeLines(c(format(took / length(values), digits = 6), format(values, digits = 17)), given[3])
cat(sprintf("R %s, lme4 %s\n", getRversion(), packageVersion("lme4")))
