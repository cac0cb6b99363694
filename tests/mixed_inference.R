# What lmerTest, pbkrtest, emmeans and nlme say of mixed models, each evaluated at the theta that it is given.
# Rscript mixed_inference.R cases.json answers.json
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest); library(emmeans); library(nlme)})
emm_options(msg.interaction = FALSE, msg.nesting = FALSE)
files <- commandArgs(TRUE)
cases <- jsonlite::read_json(files[1])

table_of <- function(case) {
  columns <- lapply(case$data, function(column) {
    values <- unlist(lapply(column$values, function(v) if (is.null(v)) NA else v))
    if (is.null(column$levels)) values
    else factor(values, levels = unlist(column$levels), ordered = column$ordered)
  })
  as.data.frame(columns, check.names = FALSE)
}

# lmer's own order of the terms is told by their names; its optimiser is replaced by one that stays where it starts.
fitted_at <- function(case, d) {
  w <- if (is.null(case$weights)) rep(1, nrow(d)) else d[[case$weights]]
  d$w_ <- w
  formula <- as.formula(case$formula)
  seen <- lFormula(formula, d, weights = w_)$reTrms$cnms
  theta <- unlist(lapply(seq_along(seen), function(k) {
    here <- Filter(function(t) t$group == names(seen)[k] && identical(unlist(t$columns), seen[[k]]), case$terms)
    unlist(here[[1]]$theta)
  }))
  stay <- function(fn, par, lower, upper, control) list(par = par, fval = fn(par), conv = 0, message = "", feval = 1)
  control <- lmerControl(optimizer = stay, calc.derivs = FALSE)
  eval(bquote(suppressMessages(suppressWarnings(
    lmerTest::lmer(.(formula), d, weights = w_, start = list(theta = theta), control = control)))))
}

table_rows <- function(a) list(term = rownames(a), sum_sq = a[["Sum Sq"]], ddf = a[["DenDF"]], F = a[["F value"]])
anovas <- function(m, ddf, types) {
  names(types) <- types
  lapply(types, function(t) table_rows(suppressMessages(anova(m, type = t, ddf = ddf))))
}

marginal <- function(m, spec, df) {
  e <- emmeans(m, spec, lmer.df = df)
  one <- function(method) {
    s <- as.data.frame(contrast(e, method), digits = 17)
    list(se = s$SE, df = s$df, p = s$p.value)
  }
  means <- as.data.frame(e)
  list(se = means$SE, df = means$df, pairwise = one("pairwise"), control = one("trt.vs.ctrl"))
}

# The pieces of lmerTest's summary(m, ddf = "Kenward-Roger"), which works pbkrtest's covariance out for every row.
kenward_roger <- function(m) {
  V <- vcov(m)
  adjusted <- vcovAdj(m)
  rows <- diag(length(fixef(m)))
  df <- vapply(seq_len(nrow(rows)), function(i) Lb_ddf(rows[i, ], V, adjusted), 0)
  named <- function(values) setNames(as.list(values), names(fixef(m)))
  list(se = named(sqrt(diag(as.matrix(adjusted)))), df = named(df))
}

column <- function(table, j) setNames(as.list(unname(table[, j])), rownames(table))

answer <- function(case) {
  d <- table_of(case)
  m <- fitted_at(case, d)
  assign("d", d, globalenv())
  out <- list(loglik = as.numeric(logLik(m)), satterthwaite = column(coef(summary(m)), "df"))
  out$anova <- if (case$terms_of_x > 0) anovas(m, "Satterthwaite", c("I", "II", "III"))
  if (is.null(case$weights)) {  # pbkrtest does not take weights into account
    out$kr <- kenward_roger(m)
    out$kr_anova <- if (case$terms_of_x > 0) anovas(m, "Kenward-Roger", "III")
  }
  if (!is.null(case$lme)) {
    fit <- lme(as.formula(case$fixed), d, as.formula(case$lme), control = lmeControl(returnObject = TRUE))
    out$containment <- as.list(fit$fixDF$X)
  }
  if (!is.null(case$spec)) {
    out$emmeans <- list(satterthwaite = marginal(m, case$spec, "satterthwaite"))
    if (is.null(case$weights)) out$emmeans$`kenward-roger` <- marginal(m, case$spec, "kenward-roger")
  }
  out
}

jsonlite::write_json(lapply(cases, answer), files[2], digits = NA, auto_unbox = TRUE, null = "null")
