# What lme4, lmerTest, pbkrtest, emmeans, nlme and glmmTMB say of mixed models at the optimum that they are given, and
# how far they come by themselves.
# Rscript mixed_models_beside_r.R asked.json answers.json
suppressMessages({
  library(lme4); library(lmerTest); library(pbkrtest); library(emmeans); library(nlme); library(glmmTMB)
})
emm_options(msg.interaction = FALSE, msg.nesting = FALSE)
files <- commandArgs(TRUE)
asked <- jsonlite::read_json(files[1])
quietly <- function(call) suppressMessages(suppressWarnings(call))

table_of <- function(columns) {
  columns <- lapply(columns, function(column) {
    values <- unlist(lapply(column$values, function(v) if (is.null(v)) NA else v))
    if (is.null(column$levels)) values
    else factor(values, levels = unlist(column$levels), ordered = column$ordered)
  })
  as.data.frame(columns, check.names = FALSE)
}
tables <- lapply(asked$tables, table_of)

# An optimiser that stays where it starts, and one that leaves no digit.
stay <- function(fn, par, lower, upper, control) list(par = par, fval = fn(par), conv = 0, message = "", feval = 1)
tight <- list(algorithm = "NLOPT_LN_BOBYQA", xtol_abs = 1e-11, ftol_abs = 1e-13, maxeval = 1e5)

# ---- linear ----------------------------------------------------------------------------------------
lmer_of <- function(model, d, fitter = lme4::lmer, start = NULL, ...) {
  control <- lmerControl(..., calc.derivs = FALSE, check.nobs.vs.nRE = "ignore", check.nobs.vs.nlev = "ignore")
  eval(bquote(quietly(
    fitter(.(as.formula(model$formula)), d, REML = model$reml, weights = w_, start = start, control = control))))
}

# Conditional standard deviations of the modes, level by level, where each grouping factor has one term.
spread_of <- function(m) {
  unlist(lapply(ranef(m, condVar = TRUE), function(r) apply(attr(r, "postVar"), 3, function(v) sqrt(diag(as.matrix(v))))),
         use.names = FALSE)
}

table_rows <- function(a) list(term = rownames(a), sum_sq = a[["Sum Sq"]], ddf = a[["DenDF"]], F = a[["F value"]])
anovas <- function(m, ddf, types) {
  names(types) <- types
  lapply(types, function(t) table_rows(suppressMessages(anova(m, type = t, ddf = ddf))))
}

marginal <- function(m, spec, ...) {
  e <- emmeans(m, spec, ...)
  one <- function(method) {
    s <- as.data.frame(contrast(e, method), digits = 17)
    list(estimate = s$estimate, se = s$SE, df = s$df, p = s$p.value)
  }
  means <- as.data.frame(e)
  list(estimate = means$emmean, se = means$SE, df = means$df, pairwise = one("pairwise"), control = one("trt.vs.ctrl"))
}

# The pieces of lmerTest's summary(m, ddf = "Kenward-Roger"), which works pbkrtest's covariance out for every row.
kenward_roger <- function(m) {
  V <- vcov(m)
  adjusted <- vcovAdj(m)
  rows <- diag(length(fixef(m)))
  df <- vapply(seq_len(nrow(rows)), function(i) Lb_ddf(rows[i, ], V, adjusted), 0)
  list(se = sqrt(diag(as.matrix(adjusted))), df = df)
}

linear <- function(model, d) {
  theta <- unlist(model$theta)
  m <- lmer_of(model, d, lmerTest::lmer, list(theta = theta), optimizer = stay)
  polished <- lmer_of(model, d, start = list(theta = theta), optCtrl = tight)
  out <- list(
    criterion = -2 * c(logLik(m)), own = -2 * c(logLik(lmer_of(model, d))), polished = -2 * c(logLik(polished)),
    theta = getME(m, "theta"), beta = fixef(m), se = sqrt(diag(as.matrix(vcov(m)))), sigma = sigma(m),
    modes = getME(m, "b")@x, satterthwaite = coef(summary(m))[, "df"])
  if (model$alone) out$spread <- spread_of(m)
  if (model$terms) out$anova <- anovas(m, "Satterthwaite", c("I", "II", "III"))
  by_pbkrtest <- model$reml && is.null(model$weights)  # it does not take weights into account
  if (by_pbkrtest) {
    out$kr <- kenward_roger(m)
    if (model$terms) out$kr_anova <- anovas(m, "Kenward-Roger", "III")$III
  }
  if (!is.null(model$lme)) {
    fit <- lme(as.formula(model$fixed), d, as.formula(model$lme), control = lmeControl(returnObject = TRUE))
    out$containment <- fit$fixDF$X
  }
  if (!is.null(model$means)) {
    out$means <- list(satterthwaite = marginal(m, model$means, lmer.df = "satterthwaite"))
    if (by_pbkrtest) out$means$`kenward-roger` <- marginal(m, model$means, lmer.df = "kenward-roger")
  }
  out
}

# ---- generalized -------------------------------------------------------------------------------------
family_of <- function(model) do.call(model$family, if (is.null(model$link)) list() else list(link = model$link))

glmer_of <- function(model, d, ...) {
  formula <- as.formula(model$formula, environment())
  quietly(glmer(formula, d, family_of(model), weights = w_, nAGQ = model$nodes, ...))
}

# Second differences in steps of half a standard error, a quarter and an eighth, extrapolated to steps of 0: long
# enough that what PIRLS leaves of its search (1e-14 of the deviance) does not show.
errors_of <- function(devfun, par, free, step) {
  at <- function(u) { par[free] <- par[free] + step * u; devfun(par) }
  H <- numDeriv::hessian(at, rep(0, length(free)), method.args = list(eps = 0.5, r = 3)) / 2
  step * sqrt(diag(solve(H)))
}

generalized <- function(model, d) {
  theta <- unlist(model$theta)
  beta <- unlist(model$beta)
  start <- list(theta = theta, fixef = beta)
  from_here <- function(...) glmerControl(..., nAGQ0initStep = FALSE, tolPwrss = 1e-14, calc.derivs = FALSE)
  at <- glmer_of(model, d, start = start, control = from_here(optimizer = stay))
  own <- glmer_of(model, d)
  polished <- glmer_of(model, d, start = start, control = from_here(optCtrl = tight))
  devfun <- glmer_of(model, d, devFunOnly = TRUE, control = glmerControl(tolPwrss = 1e-14))
  free <- c(which(theta != 0), length(theta) + seq_along(beta))
  step <- c(rep(0.1, length(theta)), unlist(model$se))[free]
  list(loglik = c(logLik(at)), spread = if (model$alone && model$nodes == 1) spread_of(at), polished = c(logLik(polished)),
       own = -devfun(c(getME(own, "theta"), fixef(own))) / 2,  # what it prints is up to 1e-4 off
       default_se = sqrt(diag(as.matrix(vcov(own)))),
       se = utils::tail(errors_of(devfun, c(theta, beta), free, step), length(beta)), modes = getME(at, "b")@x)
}

dispersed <- function(model, d) {
  tight <- glmmTMBControl(optCtrl = list(iter.max = 2000, eval.max = 4000, rel.tol = 1e-14, x.tol = 1e-12))
  formula <- gsub("\\(x\\|\\|g\\)", "(1|g) + (0+x|g)", model$formula)
  formula <- as.formula(formula, environment())
  m <- quietly(glmmTMB(formula, d, family = family_of(model), weights = w_, control = tight))
  s <- summary(m)$coefficients$cond
  out <- list(loglik = c(logLik(m)), beta = s[, 1], se = s[, 2], sigma = sigma(m))
  if (!is.null(model$means)) out$means <- list(none = marginal(m, model$means, df = Inf))  # its own is the residual one
  out
}

answer <- function(model) {
  d <- tables[[model$table]]
  d$w_ <- if (is.null(model$weights)) rep(1, nrow(d)) else d[[model$weights]]
  assign("d", d, globalenv())
  if (model$family == "gaussian" && is.null(model$link)) linear(model, d)
  else if (model$judge == "lme4") generalized(model, d)
  else dispersed(model, d)
}

answers <- lapply(asked$models, function(model) {
  began <- proc.time()[[3]]
  out <- tryCatch(answer(model), error = function(e) list(failed = conditionMessage(e)))
  c(out, seconds = proc.time()[[3]] - began)
})
jsonlite::write_json(answers, files[2], digits = NA, auto_unbox = TRUE, null = "null")
