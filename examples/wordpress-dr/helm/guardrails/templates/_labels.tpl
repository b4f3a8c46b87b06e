{{- define "guardrails.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
zone: {{ required "`zone` is needed" .Values.zone | quote }}
{{- end }}
