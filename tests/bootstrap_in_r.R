# pbkrtest's PBmodcomp and lme4's bootMer on a few models, and boot's intervals of given draws, as JSON.
suppressPackageStartupMessages({library(lme4); library(pbkrtest); library(boot)})
arguments <- commandArgs(TRUE)
draws <- jsonlite::read_json(arguments[1], simplifyVector = TRUE)
replicates <- as.integer(arguments[2])
RNGkind("L'Ecuyer-CMRG")
set.seed(1)
options(warn = -1)
data(beets, package = "pbkrtest")

test <- function(large, small) {
  found <- suppressMessages(PBmodcomp(large, small, nsim = replicates, seed = 1))
  tests <- summary(found)$test
  list(statistic = found$test["LRT", "stat"], p_value = found$test["PBtest", "p.value"],
       reference = as.numeric(found$ref), names = rownames(tests), p_values = tests$p.value)
}
straight <- lmer(Reaction ~ Days + (1 | Subject), sleepstudy, REML = FALSE)
slopes <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy, REML = FALSE)
sown <- lmer(sugpct ~ block + sow + harvest + (1 | block:harvest), beets, REML = FALSE)
herds <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
tests <- list(
  sleepstudy = test(update(straight, . ~ . + I(Days^2)), straight),
  beets = test(sown, update(sown, . ~ . - harvest)),
  cbpp = test(herds, update(herds, . ~ . - period))
)

parameters <- function(m) c(fixef(m), as.data.frame(VarCorr(m), order = "lower.tri")$sdcor)
spread <- function(m, use.u) apply(bootMer(m, parameters, nsim = replicates, seed = 2, use.u = use.u)$t, 2, sd)

made <- boot(seq_along(draws$t), function(x, i) mean(x[i]), R = length(draws$t))
interval <- function(type) {
  found <- boot.ci(made, conf = 0.95, type = type, t0 = draws$t0, t = draws$t, L = draws$L)
  tail(as.numeric(found[[c(norm = "normal", basic = "basic", perc = "percent", bca = "bca")[type]]]), 2)
}
answer <- list(
  tests = tests,
  spread = list(new = spread(slopes, FALSE), fitted = spread(straight, TRUE)),
  intervals = sapply(c("norm", "basic", "perc", "bca"), interval, simplify = FALSE)
)
cat(jsonlite::toJSON(answer, digits = I(17), auto_unbox = TRUE))
