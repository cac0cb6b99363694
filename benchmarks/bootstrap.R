# Seconds of PBmodcomp. Arguments: the table, the calls of the smaller and the larger model, the replicates.
suppressPackageStartupMessages({library(lme4); library(pbkrtest)})
arguments <- commandArgs(TRUE)
d <- read.csv(arguments[1], stringsAsFactors = TRUE)
for (group in intersect(names(d), c("Subject", "herd", "mouseID", "g", "period"))) d[[group]] <- factor(d[[group]])
small <- eval(parse(text = arguments[2]))
large <- eval(parse(text = arguments[3]))
options(warn = -1)
seconds <- system.time(PBmodcomp(large, small, nsim = as.integer(arguments[4]), cl = 1))[["elapsed"]]
cat(seconds)
